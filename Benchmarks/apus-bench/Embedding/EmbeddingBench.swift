import ApusEmbedding
import ApusTypes
import Foundation
import Glibc
import Synchronization

/// MiniLM's vectors beside those that PyTorch computed, and how many texts a second two threads embed. Nothing is cached.
///
/// `APUS_BENCH_DATA` names a folder with `points.jsonl` (a `text` in each line) and `points.f16.npy` (its vector), else the sample of
/// Examples/wordnet is taken. `APUS_MODEL` names the model's folder, else what `scripts/setup --test` has fetched.
enum EmbeddingBench {
    static let rounds = 3
    static let compared = 1000

    static func run() throws {
        let environment = ProcessInfo.processInfo.environment
        let folder = environment["APUS_BENCH_DATA"] ?? "Examples/wordnet"
        let model = try load(environment["APUS_MODEL"] ?? ".deps/models/minilm")
        let texts = try texts(folder + "/points.jsonl")
        let reference = try Vectors(float16: folder + "/points.f16.npy")
        guard texts.count == reference.count else {
            throw BenchFailure("\(folder) has \(texts.count) texts and \(reference.count) vectors")
        }
        var report = BenchReport("embed")
        report.row("what", "level", "value", "unit")

        // Spread over the whole file.
        for level in TransformerModel.Level.allCases where level.rawValue <= TransformerModel.bestLevel.rawValue {
            let count = level == TransformerModel.bestLevel ? compared : compared / 5
            let rows = (0..<count).map { $0 * texts.count / count }
            let vectors = try model.vectors(of: rows.map { texts[$0] }, level: level)
            let cosines = zip(rows, vectors).map { row, vector in
                let expected = reference[row]
                let length = expected.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
                return zip(vector, expected).reduce(0.0) { $0 + Double($1.0) * Double($1.1) } / length
            }
            let least = cosines.min() ?? 0
            report.figure("least_cosine_\(level)", least)
            report.row("least cosine over \(count) texts", "\(level)", String(format: "%.7f", least), "")
            guard least >= 0.999 else { throw BenchFailure("a vector is too far from PyTorch's: cosine \(least)") }
        }

        // Short texts with a mean of 12 word pieces, and the two at the ends; each of them once.
        var short: [Int] = []
        var lengths: [Int: Int] = [:]
        for index in texts.indices where short.count < 1000 {
            let length = model.package.tokenizer.pieces(of: texts[index], limit: model.package.longestText).count
            lengths[index] = length
            if (11...18).contains(length) { short.append(index) }
        }
        let mean = Double(short.reduce(0) { $0 + (lengths[$1] ?? 0) - 2 }) / Double(short.count)
        let words = short.map { texts[$0] }
        report.figure("mean_pieces", mean)
        for (threads, name) in [(2, "two threads"), (1, "one thread")] {
            for level in TransformerModel.Level.allCases where level.rawValue <= TransformerModel.bestLevel.rawValue {
                let sample = level == TransformerModel.bestLevel ? words : Array(words.prefix(200))
                var (rates, perCPU): ([Double], [Double]) = ([], [])
                for _ in 0..<(level == TransformerModel.bestLevel ? rounds : 1) {
                    let before = cpuSeconds
                    rates.append(Double(sample.count) / (try seconds { try embed(sample, by: model, level, threads: threads) }))
                    perCPU.append(Double(sample.count) / (cpuSeconds - before))
                }
                report.figure("texts_per_second_\(threads)_\(level)", rates)
                report.figure("texts_per_cpu_second_\(threads)_\(level)", perCPU)
                let what = "\(sample.count) texts of \(BenchReport.short(mean)) pieces, \(name)"
                report.row(what, "\(level)", BenchReport.short(Spread(rates).median), "texts/s")
                report.row("the same, of a core that nobody else uses", "\(level)", BenchReport.short(Spread(perCPU).median), "texts/CPU s")
            }
        }
        let single = try (0..<50).map { round in try seconds { _ = try model.vectors(of: [words[round]]) } * 1000 }
        report.figure("one_text_ms", single)
        report.row("one text alone", "\(TransformerModel.bestLevel)", BenchReport.short(Spread(single).median), "ms")
        let long = (0..<4).map { start in texts[start * 100..<start * 100 + 40].joined(separator: " ") }
        let longRate = Double(long.count) / (try seconds { try embed(long, by: model, TransformerModel.bestLevel, threads: 2) })
        report.figure("long_texts_per_second", longRate)
        report.row("texts of 256 pieces, two threads", "\(TransformerModel.bestLevel)", BenchReport.short(longRate), "texts/s")
        for provider in ["bm25", "tfidf", "char_ngram"] {
            let provider = try EmbeddingProvider(named: provider)
            let sample = texts.prefix(5000)
            let rate = Double(sample.count) / (seconds { for text in sample { _ = provider.lexicalVector(of: text, dimension: 512) } })
            report.figure("\(provider.name)_texts_per_second", rate)
            report.row("glosses by \(provider.name), one thread", "", BenchReport.short(rate), "texts/s")
        }
        try report.finish()
    }

    /// Packs the model as `apus model add` would.
    private static func load(_ folder: String) throws -> TransformerModel {
        let weights: Data
        do { weights = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + ModelFiles.weights)) } catch {
            throw BenchFailure("\(folder)/\(ModelFiles.weights) cannot be read; run scripts/setup --test, or set APUS_MODEL")
        }
        let length = try Safetensors.headerLength(weights.prefix(8))
        let files = try ModelFiles(header: Array(weights[8..<8 + length])) { name in
            FileManager.default.contents(atPath: folder + "/" + name).map(Array.init)
        }
        let header = try files.packageHeader().bytes
        let file = Owned(header + weights[(8 + length)...])
        let start = Date()
        let model = try TransformerModel(file: file.bytes, keeping: file)
        print("model packed in \(Int(Date().timeIntervalSince(start) * 1000)) ms\n")
        return model
    }

    private final class Owned: Sendable {
        nonisolated(unsafe) let bytes: UnsafeRawBufferPointer  // written before it is shared
        init(_ data: some Collection<UInt8>) {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: data.count, alignment: 64)
            buffer.copyBytes(from: data)
            bytes = UnsafeRawBufferPointer(buffer)
        }
        deinit { bytes.deallocate() }
    }

    private static func texts(_ path: String) throws -> [String] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
            guard let text = try JSONValue(parsing: Array(line.utf8))["text"]?.asString else {
                throw BenchFailure("a line of \(path) has no text")
            }
            return text
        }
    }

    private static func embed(_ texts: [String], by model: TransformerModel, _ level: TransformerModel.Level, threads: Int) throws {
        let failures = Mutex<[any Error]>([])
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            do {
                _ = try model.vectors(of: Array(texts[texts.count * thread / threads..<texts.count * (thread + 1) / threads]), level: level)
            } catch { failures.withLock { $0.append(error) } }
        }
        if let first = failures.withLock({ $0.first }) { throw first }
    }

    /// Of the whole process: what a machine that is shared does not change much.
    private static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        let duration = try clock.measure(body)
        return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }
}

struct BenchFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
