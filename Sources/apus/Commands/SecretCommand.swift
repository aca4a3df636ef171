internal import ApusTypes

/// `apus secret`: the keys that secrets in the catalog are sealed under.
enum SecretCommand {
    static let command: Command = Command(
        name: "secret", summary: "Exchange the key that secrets in the catalog are sealed under.", subcommands: [rotate])

    private static let rotate: Command = Command(
        name: "rotate", summary: "Seal all secrets under the first key of the asked node.",
        discussion: """
            First put the new key as the first line into the file that query.secret_key_file names, on every node, above the old one: nodes read it \
            again within 2 seconds, and accept both. Then run this once, while the nodes serve. Then take the old line away. A node without a key \
            that is needed is unready, and says which.
            """,
        options: [ClientOptions.dryRun] + ClientOptions.all,
        examples: [.init("apus secret rotate", "the envelopes are written anew, in one transaction")],
        run: { invocation in
            if invocation.isSet(ClientOptions.dryRun) {
                return invocation.answer(["would_rotate": true], "would seal all secrets under the first key of the asked node")
            }
            let message = try await NodeClient(invocation).core("rotate_secrets", [:], declaring: "")
            return invocation.answer(["message": .string(message)], message)
        })
}
