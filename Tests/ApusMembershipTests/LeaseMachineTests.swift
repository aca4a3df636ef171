import ApusMembership
import ApusTypes
import Testing

@Suite("Lease machine")
struct LeaseMachineTests {
    private func check(_ script: String, settles: Bool = false, sourceLocation: SourceLocation = #_sourceLocation) {
        var terms = LeaseTerms()
        terms.settles = settles
        var runner = LeaseScript(terms: terms)
        #expect(runner.run(script) == script, sourceLocation: sourceLocation)
    }

    @Test("takes a free lease, renews it each second, and stops 1.5 s before the end, counted from before it was sent")
    func takesAndRenews() {
        check(
            """
            0.0 => observe
            0.0 row free 0 0 => take after 0
            0.0 sent => take after 0
            0.3 took 1 => sleep until 1.0 holding 1
            1.0 => renew 1 holding 1
            1.0 sent => renew 1 holding 1
            1.2 renewed yes => sleep until 2.0 holding 1
            2.0 failed => sleep until 2.5 holding 1
            2.5 => renew 1 holding 1
            3.499 => renew 1 holding 1
            3.5 => renew 1
            """)
    }

    @Test("a late renewal arms the same epoch again; its own lateness counts against it")
    func rearms() {
        check(
            """
            0.0 row free 0 0 => take after 0
            0.0 took 1 => sleep until 1.0 holding 1
            1.0 sent => renew 1 holding 1
            8.0 renewed yes => renew 1
            8.0 sent => renew 1
            8.1 renewed yes => sleep until 9.0 holding 1
            """)
    }

    @Test("a holder whose row became another's follows, and looks at once")
    func follows() {
        check(
            """
            0.0 row free 0 0 => take after 0
            0.0 took 1 => sleep until 1.0 holding 1
            1.0 renewed no => observe
            1.0 row other 2 3 => sleep until 1.5
            """)
    }

    @Test("an expired lease is taken; if somebody else was faster, the machine looks again")
    func takesExpired() {
        check(
            """
            0.0 row other 3 10 => sleep until 0.5
            0.5 row expired 3 10 => take after 3
            0.5 took - => observe
            0.5 row other 4 11 => sleep until 1.0
            """)
    }

    @Test("a row that stood still for two lengths by the candidate's own clock is free, whatever the catalog's clock says")
    func takesUnchanged() {
        check(
            """
            0.0 sent => observe
            0.2 row other 3 10 => sleep until 0.5
            4.0 row other 3 11 => sleep until 4.5
            8.3 row other 3 11 => sleep until 8.8
            11.9 row other 3 11 => sleep until 12.4
            12.0 sent => sleep until 12.4
            12.0 row other 3 11 => take after 3
            """)
    }

    @Test("time between two looks counts from the answer of the first to the question of the second")
    func countsBetweenLooks() {
        check(
            """
            0.0 sent => observe
            3.0 row other 3 10 => observe
            10.9 sent => observe
            12.0 row other 3 10 => observe
            12.0 sent => observe
            12.1 row other 3 10 => take after 3
            """)
    }

    @Test("after a change of history nobody takes a lease for one length, also not a process that has just begun")
    func settles() {
        check(
            """
            0.0 row free 0 0 => sleep until 0.5
            3.5 row free 0 0 => sleep until 4.0
            4.0 => take after 0
            4.0 took - => observe
            4.0 row other 1 1 => sleep until 4.5
            history B
            5.0 row expired 1 1 => sleep until 5.5
            8.5 row expired 1 1 => sleep until 9.0
            9.0 => take after 1
            """, settles: true)
    }

    @Test("a grant whose answer was lost is found in the row, and counts from its first renewal")
    func adopts() {
        check(
            """
            0.0 row free 0 0 => take after 0
            0.0 failed => sleep until 0.5
            0.5 row me 1 1 => renew 1
            0.6 renewed yes => sleep until 1.6 holding 1
            """)
    }

    @Test("one that resigns holds nothing")
    func resigns() {
        var machine = LeaseMachine(holder: "me")
        let now = Instant(nanosecondsSinceBoot: 1)
        machine.took(Epoch(7), sent: now)
        #expect(machine.held(at: now) == Epoch(7))
        machine.resign(at: now)
        #expect(machine.held(at: now) == nil)
        #expect(machine.action(at: now) == .observe)
    }
}
