// A process of its own for what tests cannot do to themselves: be the victim of a power loss, mount and unmount.
// Prints one line for each thing that happened; the test compares the lines.
import Glibc

let arguments = CommandLine.arguments
do {
    switch arguments.dropFirst().first {
    case "objects": try await Victims.objects(root: arguments[2], journal: arguments[3], count: UInt64(arguments[4])!)  // given by the test
    case "catalog": try await Victims.catalog(root: arguments[2], journal: arguments[3], count: UInt64(arguments[4])!)  // given by the test
    case "full": try await MountScenarios(path: arguments[2]).full()
    case "read-only": try await MountScenarios(path: arguments[2]).readOnly()
    case "away": try await MountScenarios(path: arguments[2]).away()
    case "hung": try await MountScenarios(path: arguments[2]).hung()
    default:
        print("usage: store-lab objects|catalog ROOT JOURNAL COUNT | full|read-only|away|hung DIRECTORY")
        exit(64)
    }
} catch {
    print("failed: \(error)")
    exit(70)
}
