internal import ApusTypes
internal import Glibc

// A closed pipe is an error of one write, not the end of the process.
signal(SIGPIPE, SIG_IGN)
let environment = processEnvironment()
let main = Main(root: Root.command, terminal: .current(environment: environment), environment: environment)
exit(await main.run(Array(CommandLine.arguments.dropFirst())).rawValue)
