import ApusTypes
import Glibc
import TestKit
import Testing

@testable import apus

@Suite("Import sources")
struct ImportSourceTests {
    private func npy(_ descr: String, _ shape: String, _ values: [UInt8], order: String = "False", version: UInt8 = 1) -> [UInt8] {
        let header = Array("{'descr': '\(descr)', 'fortran_order': \(order), 'shape': \(shape), }\n".utf8)
        let length = version == 1 ? [UInt8(header.count), 0] : [UInt8(header.count), 0, 0, 0]
        return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + header + values
    }

    private func floats(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
    }

    private func rows(_ source: inout some PointSource) throws -> [String] {
        var rows: [String] = []
        while let row = try source.next() {
            switch row {
            case .point(_, let point): rows.append(String(decoding: point.json, as: UTF8.self))
            case .bad(let place, let reason): rows.append("\(place.split(separator: "/").last ?? ""): \(reason)")
            }
        }
        return rows
    }

    @Test("float32 and float16 of versions 1 to 3 give their values exactly", arguments: [1, 2, 3] as [UInt8])
    func values(version: UInt8) throws {
        let folder = try TemporaryDirectory(), path = "\(folder.path)/a.npy"
        try Program.write(npy("<f4", "(2, 3)", floats([0.1, -2, 3, 4e-30, 5, 1e20]), version: version), to: path)
        var source = try NumPySource(vectors: path, payloads: nil, idField: "id")
        #expect(source.dimension == 3 && source.rowCount == 2)
        #expect(try rows(&source) == [#"{"id":0,"embedding":[0.1,-2.0,3.0]}"#, #"{"id":1,"embedding":[4e-30,5.0,1e+20]}"#])

        let halves: [Float16] = [0.1, 65504, -0.5, 6e-8]
        try Program.write(
            npy(
                "<f2", "(2, 2)", halves.flatMap { [UInt8(truncatingIfNeeded: $0.bitPattern), UInt8($0.bitPattern >> 8)] }, version: version),
            to: path)
        let array = try NumPyArray(path: path)
        #expect(try array.floats(rows: 0..<2) == halves.map { Float($0) })
        #expect(try array.floats(rows: 1..<2) == [-0.5, Float(Float16(6e-8))])
    }

    @Test(
        "a file that is something else is refused by what it is",
        arguments: [
            ("<f8", "(1, 1)", "False", 8, "holds '<f8'"), ("<f4", "(1,)", "False", 4, "two dimensions"),
            ("<f4", "(1, 1, 1)", "False", 4, "two dimensions"),
            ("<f4", "(1, 1)", "True", 4, "Fortran order"), ("<f4", "(2, 1)", "False", 4, "copied whole"),
            ("<f4", "(1, 0)", "False", 0, "two dimensions"),
            (">f4", "(1, 1)", "False", 4, "holds '>f4'"), ("<f4", "(9999999999, 9999999999)", "False", 4, "has the shape"),
        ])
    func wrongArrays(descr: String, shape: String, order: String, bytes: Int, reason: String) throws {
        let folder = try TemporaryDirectory(), path = "\(folder.path)/a.npy"
        try Program.write(npy(descr, shape, [UInt8](repeating: 0, count: bytes), order: order), to: path)
        #expect { try NumPyArray(path: path) } throws: { ($0 as? ApusError)?.summary.contains(reason) == true }
    }

    @Test("a file that is no array, or is cut in its header, is refused")
    func noArray() throws {
        let folder = try TemporaryDirectory(), path = "\(folder.path)/a.npy"
        let whole = npy("<f4", "(1, 1)", floats([1]))
        for length in 0..<whole.count {
            try Program.write(Array(whole.prefix(length)), to: path)
            #expect(throws: ApusError.self) { try NumPyArray(path: path) }
        }
    }

    @Test("payload lines give ids and payloads; bad ones are named by their line")
    func payloads() throws {
        let folder = try TemporaryDirectory()
        try Program.write(npy("<f4", "(6, 1)", floats([0, 1, 2, 3, .nan, 5])), to: "\(folder.path)/a.npy")
        try Program.write("{\"id\": 7, \"a\": \"b\"}\r\n{\"id\": \"x\"}\n\n[1]\n{}\n{\"id\": -1}", to: "\(folder.path)/a.jsonl")
        var source = try NumPySource(vectors: "\(folder.path)/a.npy", payloads: "\(folder.path)/a.jsonl", idField: "id")
        #expect(
            try rows(&source) == [
                #"{"id":7,"embedding":[0.0],"payload":{"id": 7, "a": "b"}}"#, #"{"id":"x","embedding":[1.0],"payload":{"id": "x"}}"#,
                #"{"id":2,"embedding":[2.0]}"#, "a.jsonl:4: the payload is not a JSON object",
                "a.jsonl:5: element 0 of its vector is not a finite number",
                "a.jsonl:6: 'id' is neither text nor a whole number from 0",
            ])
    }

    @Test("too few and too many payload lines are errors")
    func counts() throws {
        let folder = try TemporaryDirectory()
        try Program.write(npy("<f4", "(2, 1)", floats([0, 1])), to: "\(folder.path)/a.npy")
        for (lines, reason) in [("{}\n", "ends after 1 lines"), ("{}\n{}\n{}\n", "more payload lines than vectors (2)")] {
            try Program.write(lines, to: "\(folder.path)/a.jsonl")
            var source = try NumPySource(vectors: "\(folder.path)/a.npy", payloads: "\(folder.path)/a.jsonl", idField: "id")
            #expect { try rows(&source) } throws: { ($0 as? ApusError)?.summary.contains(reason) == true }
        }
    }

    @Test("lines of JSON hold vectors; what is wrong in one is said, and the others are taken")
    func lines() throws {
        let folder = try TemporaryDirectory(), path = "\(folder.path)/a.jsonl"
        try Program.write(
            """
            not json
            {"id": 1, "vector": [1, 2.5], "payload": {"a": 1}}
            {"key": "k", "embedding": [1, 2], "b": [1], "c": null}
            {"id": 3, "vector": [1]}
            {"id": 4}
            {"id": 5, "vector": [1, "x"]}
            {"id": 6, "vector": [1, 1e39]}
            {"id": 7, "vector": [1, 2], "payload": 3}
            {"id": 18446744073709551615, "vector": [0, 0], "payload": null}
            """, to: path)
        var source = try JSONLinesSource(path: path, idField: "id")
        #expect(source.dimension == 2)
        let found = try rows(&source)
        #expect(found[1] == #"{"id":1,"embedding":[1.0,2.5],"payload":{"a":1}}"#)
        #expect(found[2] == #"{"id":2,"embedding":[1.0,2.0],"payload":{"key":"k","b":[1],"c":null}}"#)
        #expect(found[8] == #"{"id":18446744073709551615,"embedding":[0.0,0.0]}"#)
        for (index, reason) in [
            (0, "not JSON"), (3, "1 numbers where 2"), (4, "no 'vector'"), (5, "not a number"), (6, "too large"), (7, "not an object"),
        ] {
            #expect(found[index].hasPrefix("a.jsonl:\(index + 1): ") && found[index].contains(reason), "\(found[index])")
        }
    }

    @Test("skipping rows is reading them without looking", arguments: 0...3)
    func skipping(count: Int) throws {
        let folder = try TemporaryDirectory(), path = "\(folder.path)/a.jsonl"
        try Program.write("{\"vector\": [0]}\n{\"vector\": [1]}\n{\"vector\": [2]}\n", to: path)
        var whole = try JSONLinesSource(path: path, idField: "id"), rest = try JSONLinesSource(path: path, idField: "id")
        for _ in 0..<count { #expect(try rest.skip()) }
        #expect(try rows(&rest) == Array(try rows(&whole).dropFirst(count)))
        #expect(try rest.skip() == false)
    }

    @Test("lines are found wherever the blocks of reading end")
    func longLines() throws {
        let folder = try TemporaryDirectory(), path = "\(folder.path)/a"
        let lengths = [0, 1, 262_143, 262_144, 262_145, 600_000, 3, 0]
        try Program.write(lengths.map { String(repeating: "x", count: $0) }.joined(separator: "\n"), to: path)
        var reader = try LineReader(path: path)
        var found: [Int] = []
        while let line = try reader.next() {
            found.append(line.bytes.count)
            #expect(line.number == found.count)
        }
        #expect(found == lengths.dropLast())
        #expect(reader.consumed == reader.file.size)
    }

    @Test("the state is read back as it was written, and anything else begins anew")
    func state() throws {
        let folder = try TemporaryDirectory()
        let path = ImportState.path(input: "\(folder.path)/points.npy", collection: "a/b", directory: nil)
        #expect(path == "\(folder.path)/points.npy.a_b.import")
        #expect(ImportState.path(input: "x/points.npy", collection: "c", directory: "/s") == "/s/points.npy.c.import")
        let state = ImportState(collection: "a/b", createdAt: "t", source: "s", rows: 3, inserted: 2, bad: 1, run: "r")
        #expect(try ImportState.read(path) == nil)
        try state.write(path)
        #expect(try ImportState.read(path) == state)
        for text in ["", "{}", "[]", "{\"version\": 2}"] {
            try Program.write(text, to: path)
            #expect(try ImportState.read(path) == nil)
        }
    }

    @Test("progress says how far, how fast and how long")
    func progress() {
        let begin = Instant(nanosecondsSinceBoot: 0)
        let progress = ImportProgress(terminal: .plain, isQuiet: false, now: begin, rows: 1000, share: 0.1)
        let line = progress.line(rows: 3000, total: 10_000, share: 0.3, now: begin.advanced(by: .seconds(2)))
        #expect(line == " 30%  3,000/10,000  1,000/s  7 s left")
        #expect(ImportProgress.time(61) == "1 min 1 s" && ImportProgress.time(7300) == "2 h 1 min")
        var terminal = Terminal.plain
        terminal.errorIsTerminal = true
        let bar = ImportProgress(terminal: terminal, isQuiet: false, now: begin, rows: 0, share: 0)
            .line(rows: 500, total: 1000, share: 0.5, now: begin.advanced(by: .seconds(1)))
        #expect(bar.hasPrefix("[====") && bar.contains(">") && bar.count <= 80)
    }
}
