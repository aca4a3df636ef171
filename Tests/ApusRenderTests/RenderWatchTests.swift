import ApusRender
import ApusTypes
import Testing

@Suite("When a rendered file is written")
struct RenderWatchTests {
    private func at(_ seconds: Double) -> Instant { Instant(nanosecondsSinceBoot: Int64(seconds * 1e9)) }

    @Test("a change is written at once, the next one two seconds later, and of several between them the last")
    func spacing() {
        var watch = RenderWatch(written: "a")
        #expect(watch.action(at: at(0)) == .rest)
        watch.rendered("a")
        #expect(watch.action(at: at(0)) == .rest)
        watch.rendered("b")
        #expect(watch.action(at: at(1)) == .write("b"))
        watch.installed("b", at: at(1))
        watch.rendered("c")
        #expect(watch.action(at: at(1.5)) == .wait(until: at(3)))
        watch.rendered("d")
        #expect(watch.action(at: at(3)) == .write("d"))
        watch.installed("d", at: at(3))
        #expect(watch.action(at: at(3)) == .rest)
    }

    @Test("what changes and changes back is not written")
    func changesBack() {
        var watch = RenderWatch(written: "a")
        watch.rendered("b")
        watch.installed("b", at: at(0))
        watch.rendered("a")
        watch.rendered("b")
        #expect(watch.action(at: at(9)) == .rest)
    }

    @Test("20 changes in 60 seconds are at most 30 reloads, and the last is written in the end")
    func flapping() {
        var watch = RenderWatch()
        var reloads: [Double] = []
        for tenth in 0..<1000 {
            let now = Double(tenth) / 10
            if now < 60 { watch.rendered("\(Int(now / 3))") }
            if case .write(let text) = watch.action(at: at(now)) {
                watch.installed(text, at: at(now))
                reloads.append(now)
            }
        }
        #expect(reloads.count <= 30 && reloads.count >= 20)
        #expect(zip(reloads, reloads.dropFirst()).allSatisfy { $1 - $0 >= 2 })
        watch.rendered("19")
        #expect(watch.action(at: at(100)) == .rest)
    }

    @Test("a refused text leaves the file as it is, says so, and is tried again later; another text sooner")
    func refusal() {
        var watch = RenderWatch(written: "a")
        watch.rendered("bad")
        watch.refused("bad", reason: "host not found", at: at(10))
        #expect(watch.refusal?.reason == "host not found")
        #expect(watch.refusal?.since == at(10))
        #expect(watch.action(at: at(11)) == .wait(until: at(40)))
        #expect(watch.action(at: at(40)) == .write("bad"))
        watch.refused("bad", reason: "still", at: at(40))
        #expect(watch.refusal?.since == at(10))
        watch.rendered("good")
        #expect(watch.action(at: at(41)) == .wait(until: at(42)))
        #expect(watch.action(at: at(42)) == .write("good"))
        watch.installed("good", at: at(42))
        #expect(watch.refusal == nil)
    }

    @Test("nothing is refused any more when the file is what it should be again")
    func refusalEnds() {
        var watch = RenderWatch(written: "a")
        watch.rendered("bad")
        watch.refused("bad", reason: "no", at: at(0))
        watch.rendered("a")
        #expect(watch.refusal == nil)
        #expect(watch.action(at: at(1)) == .rest)
    }
}
