import ApusTypes
import Testing

@testable import ApusRPC

/// Both ends' decisions, without a network and with a clock of the test.
@Suite("what the two ends decide")
struct MachineTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant(nanosecondsSinceBoot: 1).advanced(by: .milliseconds(milliseconds)) }

    private func request(_ id: UInt64, _ payload: Int = 0, deadline: Int64 = 1_000_000) -> Frame.Request {
        Frame.Request(id: id, method: "m", deadline: at(deadline), trace: "", payload: [UInt8](repeating: 0, count: payload))
    }

    // MARK: Client

    private typealias Peer = PeerMachine<UInt64>

    /// What effects look like, in a word each.
    private func words(_ effects: [Peer.Effect]) -> [String] {
        effects.map {
            switch $0 {
            case .open(let id): "open \(id)"
            case .send(let id, .request(let request)): "request \(request.id) on \(id)"
            case .send(let id, .cancel(let call)): "cancel \(call) on \(id)"
            case .send: "proof"
            case .close(let id): "close \(id)"
            case .disconnect: "disconnect"
            case .finish(let call, .success): "\(call) ok"
            case .finish(let call, .failure(let error)): "\(call) \(error.code)"
            case .wake: "wake"
            }
        }
    }

    /// Takes the client's stream through the handshake; what the last step wants.
    private func open(_ machine: inout Peer, _ stream: Int, at now: Instant) throws -> [String] {
        let server = Handshake(RPCPair.identity("s"))
        guard case .send(_, let proof)? = machine.received(server.challenge, on: stream, at: now).first else { return [] }
        return words(machine.received(try server.welcome(proof).welcome, on: stream, at: now))
    }

    private func machine(_ change: (inout RPCSettings) -> Void = { _ in }) -> Peer {
        var settings = RPCSettings()
        change(&settings)
        return Peer(address: "a", identity: RPCPair.identity("c"), settings: settings)
    }

    @Test("calls wait for the proof, then go out, as many as may; the next follows a reply or an abandoned call")
    func calls() throws {
        var machine = machine { $0.requestsInFlight = 2 }
        #expect(words(machine.call(request(1), ticket: 1, at: at(0))) == ["open 1", "wake"])
        #expect(words(machine.call(request(2), ticket: 2, at: at(0))) == [])
        #expect(words(machine.call(request(3), ticket: 3, at: at(0))) == [])
        #expect(words(machine.call(request(4), ticket: 4, at: at(0))) == [])
        #expect(try open(&machine, 1, at: at(1)) == ["request 1 on 1", "request 2 on 1"])
        #expect(words(machine.received(.reply(id: 2, payload: []), on: 1, at: at(2))) == ["2 ok", "request 3 on 1"])
        #expect(words(machine.abandon(1, at: at(3))) == ["cancel 1 on 1", "request 4 on 1"])
        #expect(words(machine.received(.reply(id: 1, payload: []), on: 1, at: at(4))) == [], "nobody waits for it")
        #expect(words(machine.abandon(1, at: at(5))) == [])
    }

    @Test("bytes that have not left hold further calls back")
    func unsentBytes() throws {
        var machine = machine { $0.queuedBytes = ByteCount(100) }
        _ = machine.call(request(1, 100), ticket: 1, at: at(0))
        #expect(try open(&machine, 1, at: at(0)) == ["request 1 on 1"])
        #expect(words(machine.call(request(2, 1), ticket: 2, at: at(0))) == [])
        #expect(words(machine.sent(100, on: 1, at: at(0))) == ["request 2 on 1"])
    }

    @Test("a stream that cannot be opened fails what waits; one that breaks fails what was sent and the rest goes to another")
    func failures() throws {
        let gone = ApusError(.peerUnreachable, "gone")
        var machine = machine { $0.requestsInFlight = 1 }
        _ = machine.call(request(1), ticket: 1, at: at(0))
        #expect(words(machine.ended(1, gone, at: at(0))) == ["1 peer.unreachable"])
        _ = machine.call(request(2), ticket: 2, at: at(0))
        _ = machine.call(request(3), ticket: 3, at: at(0))
        #expect(try open(&machine, 2, at: at(0)) == ["request 2 on 2"])
        #expect(words(machine.ended(2, gone, at: at(0))) == ["2 peer.disconnected", "open 3", "wake"])
        #expect(words(machine.received(nil, on: 3, at: at(0))) == ["close 3", "3 peer.invalid_response"])
        _ = machine.call(request(4), ticket: 4, at: at(0))
        #expect(words(machine.tick(at(4999))) == ["wake"])
        #expect(words(machine.tick(at(5000))) == ["close 4", "4 peer.unreachable", "wake"])
    }

    @Test("when a proof is too old the stream is replaced at the next call, and closed after its last reply")
    func lifetime() throws {
        var machine = machine { $0.proofLifetime = .seconds(600) }
        _ = machine.call(request(1), ticket: 1, at: at(0))
        _ = try open(&machine, 1, at: at(0))
        #expect(words(machine.call(request(2), ticket: 2, at: at(599_999))) == ["request 2 on 1"])
        #expect(words(machine.call(request(3), ticket: 3, at: at(600_000))) == ["open 2", "wake"])
        #expect(words(machine.received(.reply(id: 1, payload: []), on: 1, at: at(600_001))) == ["1 ok"])
        #expect(try open(&machine, 2, at: at(600_002)) == ["request 3 on 2"])
        #expect(words(machine.received(.reply(id: 2, payload: []), on: 1, at: at(600_003))) == ["2 ok", "close 1"])
    }

    @Test("without calls the connection goes after a while, counted from the last reply, and everything ends with `close`")
    func idle() throws {
        var machine = machine { $0.idleTime = .seconds(60) }
        _ = machine.call(request(1), ticket: 1, at: at(0))
        _ = try open(&machine, 1, at: at(0))
        #expect(words(machine.tick(at(70_000))) == ["wake"], "a call runs")
        _ = machine.received(.reply(id: 1, payload: []), on: 1, at: at(70_000))
        #expect(words(machine.tick(at(129_999))) == ["wake"])
        #expect(words(machine.tick(at(130_000))) == ["close 1", "disconnect"])
        _ = machine.call(request(2), ticket: 2, at: at(130_001))
        _ = try open(&machine, 2, at: at(130_001))
        #expect(words(machine.close()) == ["2 peer.disconnected", "close 2", "disconnect"])
        #expect(words(machine.call(request(3), ticket: 3, at: at(130_002))) == ["3 peer.unreachable"])
    }

    // MARK: Server

    private func words(_ effects: [ExchangeMachine.Effect]) -> [String] {
        effects.map {
            switch $0 {
            case .read: "read"
            case .send(.failure(let id, let error)): "\(id) \(error.code)"
            case .send(.reply(let id, _)): "reply \(id)"
            case .send: "hello"
            case .start(let request, _): "start \(request.id)"
            case .cancel(let id): "cancel \(id)"
            case .finish(let status, _): "finish \(status)"
            }
        }
    }

    /// A machine that has seen the client's proof.
    private func exchange(_ change: (inout RPCSettings) -> Void = { _ in }) throws -> ExchangeMachine {
        var settings = RPCSettings()
        change(&settings)
        let handshake = Handshake(RPCPair.identity("s"))
        var machine = ExchangeMachine(handshake, settings: settings, at: at(0))
        #expect(words(machine.begin()) == ["hello", "read"])
        let proof = try Handshake(RPCPair.identity("c")).proof(handshake.challenge).proof
        #expect(words(machine.received([proof], at: at(0))) == ["hello", "read"])
        return machine
    }

    @Test("so many requests run, as many wait, and then nothing is read until some have ended; a cancel frees a place")
    func readsAndRuns() throws {
        var machine = try exchange { $0.requestsInFlight = 2 }
        #expect(words(machine.received([.request(request(1))], at: at(0))) == ["start 1", "read"])
        #expect(words(machine.received((2...4).map { .request(request($0)) }, at: at(0))) == ["start 2"])
        #expect(words(machine.ended(1, .reply(id: 1, payload: []), at: at(0))) == ["reply 1", "start 3", "read"])
        #expect(words(machine.received([.cancel(id: 4), .cancel(id: 2), .request(request(5))], at: at(0))) == ["cancel 2", "read"])
        #expect(words(machine.ended(2, nil, at: at(0))) == ["start 5"])
    }

    @Test("bytes of requests and of unsent replies stop the reading, too")
    func bytes() throws {
        var machine = try exchange { $0.queuedBytes = ByteCount(100) }
        #expect(words(machine.received([.request(request(1, 100))], at: at(0))) == ["start 1"])
        #expect(words(machine.ended(1, .reply(id: 1, payload: [UInt8](repeating: 0, count: 150)), at: at(0))) == ["reply 1"])
        #expect(words(machine.sent(51, at: at(0))) == ["read"])
    }

    @Test("what came too late is not begun")
    func late() throws {
        var machine = try exchange { $0.requestsInFlight = 1 }
        #expect(words(machine.received([.request(request(1)), .request(request(2, deadline: 50))], at: at(0))) == ["start 1"])
        #expect(words(machine.ended(1, .reply(id: 1, payload: []), at: at(50))) == ["reply 1", "read"])
        #expect(!machine.isBusy)
    }

    @Test("draining refuses what waits and what comes, and lets run what runs")
    func drain() throws {
        var machine = try exchange { $0.requestsInFlight = 1 }
        _ = machine.received([.request(request(1)), .request(request(2))], at: at(0))
        #expect(words(machine.drain()) == ["2 node.draining"])
        #expect(machine.isBusy)
        #expect(words(machine.ended(1, .reply(id: 1, payload: []), at: at(0))) == ["reply 1", "read"])
        #expect(words(machine.received([.request(request(3))], at: at(0))) == ["3 node.draining", "read"])
        #expect(!machine.isBusy)
    }

    @Test("the end of a stream, a frame that is not a client's, and bytes that are none cancel what runs")
    func ends() throws {
        for (frames, status) in [([.welcome(code: [])], 3), (nil, 3)] as [([Frame]?, Int)] {
            var machine = try exchange()
            _ = machine.received([.request(request(1))], at: at(0))
            #expect(words(machine.received(frames, at: at(0))) == ["cancel 1", "finish \(status)"])
            #expect(words(machine.ended(1, .reply(id: 1, payload: []), at: at(0))) == [])
        }
        var machine = try exchange()
        _ = machine.received([.request(request(1))], at: at(0))
        #expect(words(machine.cutOff()) == ["cancel 1"])
        #expect(words(machine.tick(at(5000))) == [])
    }

    @Test("a client that proves nothing in time is refused, and a request ends at its deadline whether its cancel is read or not")
    func time() throws {
        var silent = ExchangeMachine(Handshake(RPCPair.identity("s")), settings: RPCSettings(), at: at(0))
        _ = silent.begin()
        #expect(words(silent.tick(at(4999))) == [])
        #expect(words(silent.tick(at(5000))) == ["finish 16"])
        var machine = try exchange { $0.requestsInFlight = 1 }
        _ = machine.received([.request(request(1, deadline: 7000)), .request(request(2))], at: at(0))
        #expect(words(machine.tick(at(6999))) == [])
        #expect(words(machine.tick(at(7000))) == ["cancel 1"])
        #expect(words(machine.ended(1, nil, at: at(7000))) == ["start 2", "read"])
    }
}
