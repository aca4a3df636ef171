extension ExplorerPage {
    /// No library, and no HTML made of text: what a database holds is put into the page as text alone.
    static let script = #"""
        "use strict";

        // MARK: Completion. A text before the cursor and a schema in, suggestions out; `complete` touches no page.

        const unwrap = type => { while (type && type.ofType) type = type.ofType; return type ? type.name : null; };
        const written = type => !type ? "" : type.kind === "NON_NULL" ? written(type.ofType) + "!" : type.kind === "LIST" ? "[" + written(type.ofType) + "]" : type.name;

        function tokens(text) {
          const found = [];
          const pattern = /"""[^]*?(?:"""|$)|"(?:\\.|[^"\\\n])*(?:"|$)|#[^\n]*|\.\.\.|[A-Za-z_]\w*|\$\w*|@\w*|-?\d[\d.eE+-]*|[{}()\[\]:!=|&]/gm;
          for (const match of text.matchAll(pattern)) if (match[0][0] !== "#") found.push(match[0]);
          return found;
        }

        // What may come next, by what is open: selections, arguments, input objects and lists.
        function complete(text, schema) {
          if (/#[^\n]*$/.test(text)) return { word: "", options: [] };
          const word = (text.match(/[@$]?[A-Za-z_]\w*$|[@$]$/) || [""])[0];
          const list = tokens(text.slice(0, text.length - word.length));
          const types = schema.types;
          const roots = { query: schema.query, mutation: schema.mutation, subscription: schema.subscription };
          const stack = [];
          const variables = new Set();
          let next = schema.query, field = null, directive = null, argument = null, defines = false, last = "", fragment = false;
          for (const token of list) {
            const top = stack[stack.length - 1];
            const isName = /^[A-Za-z_]/.test(token);
            if (token[0] === "$") variables.add(token);
            if (!top) {
              if (isName && last === "on") next = token;
              else if (roots[token] !== undefined && !defines) { next = roots[token]; defines = true; }
              else if (token === "fragment" && !defines) { fragment = defines = true; }
              if (token === "(") stack.push({ kind: "definitions" });
              if (token === "{") { stack.push({ kind: "selection", type: next }); field = null; }
            } else if (token === ")" || token === "}" || token === "]") {
              const closed = stack.pop();
              if (!stack.length) { defines = fragment = false; next = schema.query; }
              if (closed.kind === "arguments") { directive = null; }
              if (closed.kind !== "selection") argument = closed.outer || null; else field = null;
            } else if (top.kind === "selection") {
              if (token === "{") { stack.push({ kind: "selection", type: next }); field = null; }
              else if (token === "(") stack.push({ kind: "arguments", all: (directive ? directive.args : field ? field.args : []) || [] });
              else if (token === ":") { field = null; }
              else if (token[0] === "@") directive = schema.directives.find(one => "@" + one.name === token) || { args: [] };
              else if (last === "on") next = token;
              else if (isName && last !== "...") {
                const known = types[top.type];
                field = known && known.fields ? known.fields.find(one => one.name === token) || null : null;
                next = field ? unwrap(field.type) : null;
                directive = null;
              } else if (token === "...") next = top.type;
            } else if (top.kind === "arguments" || top.kind === "object") {
              if (token === "{") stack.push({ kind: "object", all: inputs(types, argument), outer: argument });
              else if (token === "[") stack.push({ kind: "list", outer: argument });
              else if (isName && last !== ":") argument = top.all.find(one => one.name === token) || null;
            } else if (top.kind === "list") {
              if (token === "{") stack.push({ kind: "object", all: inputs(types, top.outer), outer: top.outer });
              else if (token === "[") stack.push({ kind: "list", outer: top.outer });
            }
            last = token;
          }
          const top = stack[stack.length - 1];
          const described = one => ({ text: one.name, type: one.type ? written(one.type) : "", isDeprecated: !!one.isDeprecated, about: one.description || "" });
          let options = [];
          if (word[0] === "@" || last === "@") options = schema.directives.map(one => ({ text: "@" + one.name, type: "", about: one.description || "" }));
          else if (word[0] === "$") options = [...variables].map(name => ({ text: name, type: "" }));
          else if (!top) options = last === "on" || last === ":" ? named(types, () => true) : ["query", "mutation", "subscription", "fragment"].filter(one => one === "fragment" || roots[one]).map(text => ({ text, type: "" }));
          else if (top.kind === "definitions") options = last === ":" || last === "[" ? named(types, one => /SCALAR|ENUM|INPUT_OBJECT/.test(one.kind)) : [];
          else if (top.kind === "selection") {
            if (last === "on") options = named(types, one => one.kind === "OBJECT");
            else options = ((types[top.type] || {}).fields || []).map(described).concat([{ text: "__typename", type: "String!" }]);
          } else if (last === ":" || top.kind === "list") options = values(types, top.kind === "list" ? top.outer : argument, variables);
          else options = top.all.map(described);
          const start = word.toLowerCase();
          const begins = options.filter(one => one.text.toLowerCase().startsWith(start));
          const holds = options.filter(one => !one.text.toLowerCase().startsWith(start) && one.text.toLowerCase().includes(start));
          return { word, options: begins.concat(holds).filter(one => one.text !== word).slice(0, 100) };
        }

        const inputs = (types, argument) => (argument && (types[unwrap(argument.type)] || {}).inputFields) || [];
        const named = (types, test) => Object.values(types).filter(test).map(one => ({ text: one.name, type: one.kind.toLowerCase() }));

        function values(types, argument, variables) {
          const type = argument ? types[unwrap(argument.type)] : null;
          const known = type && type.enumValues ? type.enumValues.map(one => ({ text: one.name, type: type.name })) : [];
          if (type && type.name === "Boolean") known.push({ text: "true", type: "Boolean" }, { text: "false", type: "Boolean" });
          return known.concat([...variables].map(name => ({ text: name, type: "" })));
        }

        function index(introspected) {
          const schema = introspected.__schema;
          const types = Object.create(null);
          for (const type of schema.types) types[type.name] = type;
          const name = root => root ? root.name : null;
          return { types, directives: schema.directives, query: name(schema.queryType), mutation: name(schema.mutationType), subscription: name(schema.subscriptionType) };
        }

        const introspection = `query { __schema { queryType { name } mutationType { name } subscriptionType { name }
          directives { name description args { ...input } }
          types { kind name fields(includeDeprecated: true) { name description isDeprecated type { ...type } args { ...input } }
            inputFields { ...input } enumValues { name } } } }
          fragment input on __InputValue { name description type { ...type } }
          fragment type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`;

        // MARK: Results. The lists of objects in a reply, by their paths.

        function lists(value, path = "", found = []) {
          if (Array.isArray(value)) { if (value.length && value.every(one => one && typeof one === "object" && !Array.isArray(one))) found.push({ path, rows: value }); }
          else if (value && typeof value === "object") for (const key of Object.keys(value)) lists(value[key], path ? path + "." + key : key, found);
          return found;
        }

        // A subscription is asked for over a WebSocket.
        const isSubscription = text => { const all = tokens(text); const at = all.indexOf("subscription"); return at >= 0 && all.slice(0, at).filter(one => one === "{").length === all.slice(0, at).filter(one => one === "}").length; };

        // MARK: The page.

        function start() {
          const get = id => document.getElementById(id);
          const [query, variables, result, status, key, history, suggestions] = ["query", "variables", "result", "status", "key", "history", "suggestions"].map(get);
          let schema = null, reply = null, isTable = false, chosen = -1, options = { word: "", options: [] }, running = null;

          const kept = name => { try { return JSON.parse(localStorage.getItem(name)) || []; } catch { return []; } };
          key.value = sessionStorage.getItem("apus.key") || "";
          key.addEventListener("change", () => { sessionStorage.setItem("apus.key", key.value); load(); });

          function element(name, text, className) {
            const made = document.createElement(name);
            if (text !== undefined) made.textContent = text;
            if (className) made.className = className;
            return made;
          }

          const headers = () => Object.assign({ "Content-Type": "application/json", Accept: "application/graphql-response+json" }, key.value ? { "X-Hugr-Api-Key": key.value } : {});

          async function ask(body, signal) {
            const answer = await fetch("/query", { method: "POST", headers: headers(), body: JSON.stringify(body), signal, credentials: "omit" });
            const text = await answer.text();
            // Numbers beyond 2^53 would change by being parsed: the text is shown as it came, the table from what was parsed.
            let value = null;
            try { value = JSON.parse(text); } catch { value = { errors: [{ message: answer.status + " " + text }] }; }
            return { text, value, status: answer.status };
          }

          async function load() {
            try {
              const answer = await ask({ query: introspection });
              schema = answer.value.data ? index(answer.value.data) : null;
              status.textContent = schema ? "" : answer.status === 401 ? "a key is needed" : "the schema could not be read";
            } catch (error) { status.textContent = String(error); }
          }

          // History

          function fillHistory() {
            history.replaceChildren(element("option", ""));
            for (const [number, one] of kept("apus.history").entries()) {
              const option = element("option", one.query.replace(/\s+/g, " ").slice(0, 80));
              option.value = number;
              history.append(option);
            }
          }
          function remember() {
            const one = { query: query.value, variables: variables.value };
            const rest = kept("apus.history").filter(old => old.query !== one.query || old.variables !== one.variables);
            localStorage.setItem("apus.history", JSON.stringify([one, ...rest].slice(0, 50)));
            fillHistory();
          }
          history.addEventListener("change", () => {
            const one = kept("apus.history")[history.value];
            if (one) { query.value = one.query; variables.value = one.variables; }
            history.value = "";
          });

          // Running

          function show() {
            result.replaceChildren();
            if (!reply) return;
            const found = lists(reply.value.data);
            const select = get("lists");
            select.hidden = !isTable || found.length < 2;
            if (!isTable || !found.length) {
              const pretty = /\d{16}/.test(reply.text) ? reply.text : JSON.stringify(reply.value, null, 2);
              result.append(element("div", pretty, reply.value.errors ? "error" : ""));
              return;
            }
            const wanted = found.find(one => one.path === select.value) || found[0];
            select.replaceChildren(...found.map(one => element("option", one.path)));
            select.value = wanted.path;
            const columns = [...new Set(wanted.rows.flatMap(Object.keys))];
            const table = element("table"), head = element("tr");
            for (const column of columns) head.append(element("th", column));
            table.append(head);
            for (const row of wanted.rows.slice(0, 5000)) {
              const line = element("tr");
              for (const column of columns) {
                const value = row[column];
                line.append(value === null || value === undefined ? element("td", "null", "null") : element("td", typeof value === "object" ? JSON.stringify(value) : String(value)));
              }
              table.append(line);
            }
            result.append(table);
            if (wanted.rows.length > 5000) result.append(element("div", "the first 5000 of " + wanted.rows.length + " rows"));
          }

          function end() { running = null; get("stop").disabled = true; }

          async function run() {
            if (running) running.stop();
            let values = {};
            try { if (variables.value.trim()) values = JSON.parse(variables.value); } catch (error) { status.textContent = "variables: " + error.message; return; }
            remember();
            status.textContent = "…";
            get("stop").disabled = false;
            const body = { query: query.value, variables: values };
            if (isSubscription(query.value)) return listen(body);
            const controller = new AbortController();
            const own = running = { stop: () => controller.abort() };
            const begin = performance.now();
            try {
              const answer = await ask(body, controller.signal);
              reply = answer;
              const cut = ((answer.value.extensions || {}).truncated || []).join(", ");
              status.textContent = answer.status + ", " + Math.round(performance.now() - begin) + " ms, " + answer.text.length + " characters" + (cut ? ", cut: " + cut : "");
            } catch (error) { status.textContent = error.name === "AbortError" ? "stopped" : String(error); }
            if (running === own) end();
            show();
          }

          function listen(body) {
            const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/subscribe", "graphql-transport-ws");
            const own = running = { stop: () => socket.close(1000) };
            let count = 0;
            const say = message => socket.send(JSON.stringify(message));
            socket.onopen = () => say({ type: "connection_init", payload: key.value ? { "X-Hugr-Api-Key": key.value } : {} });
            socket.onmessage = event => {
              const message = JSON.parse(event.data);
              if (message.type === "connection_ack") say({ id: "1", type: "subscribe", payload: body });
              else if (message.type === "ping") say({ type: "pong" });
              else if (message.type === "next") { reply = { text: JSON.stringify(message.payload), value: message.payload }; status.textContent = ++count + " told"; show(); }
              else if (message.type === "error") { reply = { text: "", value: { errors: message.payload } }; show(); socket.close(1000); }
              else if (message.type === "complete") socket.close(1000);
            };
            socket.onclose = event => {
              if (event.code !== 1000) status.textContent = "ended: " + event.code + " " + event.reason;
              if (running === own) end();
            };
          }

          get("run").addEventListener("click", run);
          get("stop").addEventListener("click", () => { if (running) running.stop(); });
          get("lists").addEventListener("change", show);
          for (const [id, table] of [["as-json", false], ["as-table", true]]) get(id).addEventListener("click", () => {
            isTable = table;
            get("as-json").setAttribute("aria-pressed", String(!table));
            get("as-table").setAttribute("aria-pressed", String(table));
            show();
          });

          // The editor

          function suggest(isAsked) {
            options = schema ? complete(query.value.slice(0, query.selectionStart), schema) : { word: "", options: [] };
            if (!isAsked && !options.word) options.options = [];
            chosen = options.options.length ? 0 : -1;
            suggestions.replaceChildren(...options.options.map((one, number) => {
              const item = element("li");
              item.append(element(one.isDeprecated ? "del" : "span", one.text), element("small", [one.type, (one.about || "").split("\n")[0]].filter(Boolean).join("  ")));
              item.setAttribute("role", "option");
              item.setAttribute("aria-selected", String(number === chosen));
              item.addEventListener("mousedown", event => { event.preventDefault(); accept(number); });
              return item;
            }));
          }
          function choose(number) {
            const items = suggestions.children;
            if (!items.length) return;
            items[chosen].setAttribute("aria-selected", "false");
            chosen = (number + items.length) % items.length;
            items[chosen].setAttribute("aria-selected", "true");
            items[chosen].scrollIntoView({ block: "nearest" });
          }
          function accept(number) {
            const at = query.selectionStart;
            query.setRangeText(options.options[number].text, at - options.word.length, at, "end");
            close();
          }
          function close() { suggestions.replaceChildren(); chosen = -1; }

          query.addEventListener("input", () => suggest(false));
          query.addEventListener("blur", close);
          query.addEventListener("keydown", event => {
            const isOpen = suggestions.children.length > 0;
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); close(); run(); }
            else if (event.key === " " && event.ctrlKey) { event.preventDefault(); suggest(true); }
            else if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) { event.preventDefault(); choose(chosen + (event.key === "ArrowDown" ? 1 : -1)); }
            else if (isOpen && (event.key === "Enter" || event.key === "Tab")) { event.preventDefault(); accept(chosen); }
            else if (isOpen && event.key === "Escape") { event.preventDefault(); close(); }
            else if (event.key === "Enter") {
              event.preventDefault();
              const before = query.value.slice(0, query.selectionStart);
              const indentation = (before.match(/(?:^|\n)([ ]*)[^\n]*$/) || ["", ""])[1] + (/[{(\[]\s*$/.test(before) ? "  " : "");
              query.setRangeText("\n" + indentation, query.selectionStart, query.selectionEnd, "end");
            }
          });
          variables.addEventListener("keydown", event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); } });

          const latest = kept("apus.history")[0];
          query.value = latest ? latest.query : "{\n  \n}";
          variables.value = latest ? latest.variables : "";
          fillHistory();
          load();
        }

        if (typeof document !== "undefined") start();

        """#
}
