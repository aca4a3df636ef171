internal import ApusQueryPlan
internal import ApusTypes

/// What whoever asks is told about itself.
extension CoreSource {
    static func access(_ function: String, _ arguments: JSONObject) throws(ApusError) -> JSONValue {
        guard let caller = QueryCaller.current else { throw ApusError(.forbidden, "nobody is known to ask") }
        let type = arguments["type_name"]?.asString ?? ""
        switch function {
        case "me": return me(caller)
        case "my_permissions":
            return [
                "role_name": .string(caller.identity.role), "disabled": false, "permissions": .array(caller.permissions.all.map(told)),
            ]
        case "check_access":
            let fields = (arguments["fields"]?.asString ?? "").split(separator: ",").map { String($0.drop { $0 == " " }) }
            return .array(fields.map { check(type, $0, caller.permissions) })
        default: return check(type, arguments["field"]?.asString ?? "", caller.permissions)
        }
    }

    private static func me(_ caller: QueryCaller) -> JSONValue {
        var told: JSONObject = [:]
        for name in ["user_id", "user_name", "role", "auth_type"] { told[name] = caller.values["auth." + name] ?? .null }
        told["auth_provider"] = caller.values["auth.provider"] ?? .null
        for name in ["user_id", "user_name", "role"] {
            told["impersonated_by_" + name] = caller.values["auth.impersonated_by_" + name] ?? .null
        }
        return .object(told)
    }

    private static func told(_ rule: RolePermissions.Rule) -> JSONValue {
        [
            "object": .string(rule.type), "field": .string(rule.field), "hidden": .bool(rule.isHidden), "disabled": .bool(rule.isDisabled),
            "filter": rule.filter.map { .object($0) } ?? .null, "data": rule.data.map { .object($0) } ?? .null,
        ]
    }

    private static func check(_ type: String, _ field: String, _ permissions: RolePermissions) -> JSONValue {
        let rule = permissions.rule(type, field)
        return [
            "field": .string(field), "enabled": .bool(rule.map { !$0.isDisabled } ?? !permissions.deniesByDefault),
            "visible": .bool(rule.map { !$0.isHidden } ?? true), "filter": rule?.filter.map { .object($0) } ?? .null,
            "data": rule?.data.map { .object($0) } ?? .null,
        ]
    }
}
