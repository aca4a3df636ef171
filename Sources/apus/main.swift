internal import ApusRuntime
internal import ApusTypes
internal import Glibc

JQProcess.serveIfTold()

// A closed pipe is an error of one write, not the end of the process.
signal(SIGPIPE, SIG_IGN)
let environment = processEnvironment()
let main = Main(root: Root.command, terminal: .current(environment: environment), environment: environment)
let code = await main.run(Array(CommandLine.arguments.dropFirst())).rawValue
// Loops and pools may still run: what `exit` takes down (OpenSSL's state, gRPC's) would go from under them.
LogOutput.flush()
fflush(nil)
_exit(code)
