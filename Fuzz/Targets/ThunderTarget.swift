import ApusTypes

@testable import ApusThunder

/// Any bytes are a request or a refusal; what was read is written and read again as the same.
func fuzzThunder(_ input: UnsafeRawBufferPointer) {
    _ = ThunderRequest.id(ofBeginning: Array(input.prefix(10)))
    guard let request = try? ThunderRequest(body: Array(input)), let arguments = try? request.arguments() else { return }
    func written(_ value: ThunderValue) -> [UInt8] {
        var writer = MessagePackWriter(reserving: 64)
        value.write(to: &writer)
        return writer.bytes
    }
    for argument in arguments {
        // Bytes are compared, because a NaN is no other NaN.
        let first = written(argument)
        let again = try? first.reading { reader throws(ThunderProblem) in try ThunderValue(&reader) }
        guard let again, written(again) == first else { fatalError("\(argument) changed") }
    }
}

/// A connection's machine under any bytes and any order of what happens: it answers each call once, keeps its bounds, and gives back all
/// memory that it took. The first byte says how to cut the input and what happens in between.
func fuzzThunderConnection(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    var limits = ThunderLimits()
    limits.frame = .kibibytes(2)
    limits.anonymousFrame = ByteCount(64)
    limits.inFlight = 4
    limits.held = .kibibytes(4)
    limits.output = ByteCount(256)
    limits.mostOutput = .kibibytes(8)
    let budget = MemoryBudget(limit: .kibibytes(3))
    var now = Instant(nanosecondsSinceBoot: 1)
    var machine = ThunderMachine(
        limits: limits, server: .init(version: "1", capabilities: []), identity: first & 1 == 0 ? .known(.local) : .unknown("fuzz"),
        budget: budget, at: now)
    var running: [UInt32] = []
    var isVerifying = false
    var hasEnded = false

    func perform(_ effects: [ThunderMachine.Effect]) {
        for effect in effects {
            guard !hasEnded else { fatalError("\(effect) after the end") }
            switch effect {
            case .run(let request, _):
                guard !running.contains(request.id) else { fatalError("two calls \(request.id) at a time") }
                running.append(request.id)
                _ = try? request.arguments()
            case .verify:
                guard !isVerifying else { fatalError("two keys at a time") }
                isVerifying = true
            case .send(let frame):
                let length = (0..<4).reduce(0) { $0 | Int(frame[$1]) << (8 * $1) }
                guard frame.count == length + 4, length <= max(limits.frame.bytes, 256) else { fatalError("a wrong frame: \(frame)") }
            case .read: break
            case .finish, .close: hasEnded = true
            }
        }
        guard machine.inFlight <= limits.inFlight else { fatalError("\(machine.inFlight) calls in flight") }
    }

    let piece = Int(first >> 1 & 15) + 1
    var position = 1
    while position < input.count, !hasEnded {
        let end = min(position + piece, input.count)
        now = now.advanced(by: .seconds(1))
        perform(machine.receive(UnsafeRawBufferPointer(rebasing: input[position..<end]), at: now))
        // What happens next is the input's to say.
        switch input[position] & 7 {
        case 0, 1: if let id = running.popLast() { perform(machine.finished(id, .ok(.string("done")), at: now)) }
        case 2 where !running.isEmpty:
            perform(machine.finished(running.removeFirst(), .failure(String(repeating: "x", count: 3000)), at: now))
        case 3 where isVerifying:
            isVerifying = false
            perform(machine.verified(.principal(.local), at: now))
        case 4 where isVerifying:
            isVerifying = false
            perform(machine.verified(.nobody, at: now))
        case 5: perform(machine.sent(queued: 0))
        case 6: perform(machine.tick(at: now))
        case 7 where end == input.count: perform(machine.drain())
        default: break
        }
        position = end
    }
    machine.closed()
    guard budget.take(limits.frame.bytes + 1024) else { fatalError("memory was not given back") }
}
