/// The explorer's page and its style.
enum ExplorerPage {
    static let html = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>Apus: queries</title>
        <link rel="stylesheet" href="/admin/explorer.css">
        <script src="/admin/explorer.js" defer></script>
        </head>
        <body>
        <header>
        <h1>Apus</h1>
        <button id="run" title="Ctrl+Enter">Run</button>
        <button id="stop" disabled>Stop</button>
        <label>Key <input id="key" type="password" autocomplete="off" placeholder="from this machine: none"></label>
        <label>History <select id="history"></select></label>
        <output id="status"></output>
        </header>
        <main>
        <section>
        <label for="query">Operation <small>Ctrl+Space completes</small></label>
        <textarea id="query" spellcheck="false" autocapitalize="off" autocomplete="off"></textarea>
        <ul id="suggestions" role="listbox" aria-label="Suggestions"></ul>
        <label for="variables">Variables</label>
        <textarea id="variables" spellcheck="false" autocapitalize="off" autocomplete="off" placeholder="{}"></textarea>
        </section>
        <section>
        <nav>
        <button id="as-json" aria-pressed="true">JSON</button>
        <button id="as-table" aria-pressed="false">Table</button>
        <select id="lists" hidden aria-label="List"></select>
        </nav>
        <div id="result"></div>
        </section>
        </main>
        </body>
        </html>

        """

    static let style = """
        * { box-sizing: border-box; }
        html, body { height: 100%; margin: 0; }
        body { display: flex; flex-direction: column; font: 14px/1.4 system-ui, sans-serif; color: #1c2330; background: #f6f7f9; }
        header { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; padding: .5rem .75rem; background: #fff; border-bottom: 1px solid #d5dae1; }
        h1 { font-size: 1rem; margin: 0 .5rem 0 0; }
        #status { margin-left: auto; color: #5a6577; }
        main { flex: 1; display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; padding: .75rem; min-height: 0; }
        section { display: flex; flex-direction: column; gap: .35rem; min-height: 0; min-width: 0; }
        textarea, #result { font: 13px/1.5 ui-monospace, monospace; border: 1px solid #c6cdd7; border-radius: 4px; background: #fff; color: inherit; padding: .5rem; }
        textarea { resize: none; tab-size: 2; }
        #query { flex: 3; }
        #variables { flex: 1; }
        #result { flex: 1; overflow: auto; white-space: pre; }
        #suggestions { list-style: none; margin: 0; padding: 0; max-height: 9rem; overflow: auto; font: 13px/1.6 ui-monospace, monospace; background: #fff; border: 1px solid #c6cdd7; border-radius: 4px; }
        #suggestions:empty { display: none; }
        #suggestions li { padding: 0 .5rem; cursor: pointer; }
        #suggestions li[aria-selected=true] { background: #dbe7fb; }
        #suggestions small { color: #5a6577; margin-left: 1rem; }
        #suggestions del { color: #97a0ae; }
        nav { display: flex; gap: .35rem; }
        button, select, input { font: inherit; color: inherit; background: #fff; border: 1px solid #c6cdd7; border-radius: 4px; padding: .2rem .6rem; }
        button[aria-pressed=true] { background: #dbe7fb; }
        table { border-collapse: collapse; }
        th, td { border: 1px solid #e1e5ea; padding: .15rem .5rem; text-align: left; vertical-align: top; max-width: 40rem; overflow: hidden; text-overflow: ellipsis; }
        th { position: sticky; top: -.5rem; background: #f0f2f5; }
        .null { color: #97a0ae; }
        .error { color: #a3261c; }
        @media (prefers-color-scheme: dark) {
          body { color: #e3e7ee; background: #14181f; }
          header, textarea, #result, #suggestions, button, select, input { background: #1c222b; border-color: #39424f; }
          #suggestions li[aria-selected=true], button[aria-pressed=true] { background: #2a3d5c; }
          th { background: #252c37; } th, td { border-color: #39424f; }
          .error { color: #ff9b91; }
        }
        @media (max-width: 50rem) { main { grid-template-columns: 1fr; grid-auto-rows: 80vh; } }

        """
}
