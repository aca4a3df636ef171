import TestKit

/// The project's own files, for tests that compare what they say.
enum SourceFiles {
    static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    /// Every Swift file in a folder and those in it.
    static func below(_ folder: String) throws -> [(path: String, text: String)] {
        try TemporaryDirectory.entries(folder).flatMap { name -> [(path: String, text: String)] in
            let path = "\(folder)/\(name)"
            return name.hasSuffix(".swift") ? [(path, try text(of: path))] : try below(path)
        }
    }
}
