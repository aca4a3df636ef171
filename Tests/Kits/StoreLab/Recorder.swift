import ApusTypes
import Glibc

/// PowerLossRecorder, which the test preloads into this process.
enum Recorder {
    private typealias Record = @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32
    private typealias Mark = @convention(c) (UnsafePointer<CChar>) -> Void

    /// From now on what happens to files below `root` is written into `journal`.
    static func record(_ root: String, to journal: String) throws {
        guard let found = dlsym(nil, "power_loss_record") else {
            throw ApusError(.inputUnreadable, "nothing is recorded: libPowerLossRecorder.so must be in LD_PRELOAD")
        }
        guard unsafeBitCast(found, to: Record.self)(root, journal) == 0 else {
            throw ApusError(.inputUnreadable, "cannot write the journal \(journal)")
        }
    }

    /// Writes a line into the journal, after everything that has returned before.
    static func mark(_ text: String) {
        guard let found = dlsym(nil, "power_loss_mark") else { return }  // `record` has said so
        unsafeBitCast(found, to: Mark.self)(text)
    }
}
