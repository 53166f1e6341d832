// A dispatcher, workers and the pipes between them in virtual time, without I/O: loss, repeats, delay,
// deaths, freezes, ghosts. What must hold of it all: ClientRecord.swift, DispatcherPropertyTests.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import LlorchSystem
import TestSupport

/// What goes wrong, in chances per message, per event or per second.
struct Weather {
    var loss = 0.0
    var duplication = 0.0
    /// The longest delay of a message; pipes overtake each other, messages within one pipe do not.
    var delay = Duration.zero
    /// The chance that a worker dies just before an event leaves.
    var deathPerEvent = 0.0
    /// Freezes of 3 to 15 s: long ones are taken for deaths, and some thaw while another has the job.
    var freezesPerSecond = 0.0
    var drainsPerSecond = 0.0
    /// Times of up to 4 s in which a worker cannot be sent to, though it is heard.
    var cutsPerSecond = 0.0
    /// Chances that a job is cancelled, has a deadline, or kills every worker at some token.
    var cancels = 0.0
    /// The chance that a cancelled job is sent again, to be resumed after the tokens that were received.
    var returns = 0.0
    var deadlines = 0.0
    var poison = 0.0
    /// Every worker keeps a note of its running job; if false, every other worker does.
    var areNotesKept = false
}

struct Simulation {
    enum Happening {
        case toWorker(String, boot: UInt64, DispatcherMessage)
        case toDispatcher(WorkerEvent)
        case work(String, boot: UInt64)
        case beat(String, boot: UInt64)
        case boot(String)
        case misfortune
        case tick
        case submit
        case cancel(String)
        case comeBack(String)
    }

    /// What is known of a worker's pipes, whichever process is at their end: when the newest message of each
    /// arrives.
    struct Link {
        var jobs = Duration.zero
        var control = Duration.zero
        var events = Duration.zero
        var isUp = true
        var cutUntil = Duration.zero
        var hasNotes = false
    }

    let weather: Weather
    var random: SplitMix
    var now = Duration.zero
    var dispatcher: Dispatcher
    var workers: [String: SimulatedWorker] = [:]
    var links: [String: Link] = [:]
    var clients: [String: ClientRecord] = [:]
    var violations: [String] = []
    private let names: [String]
    private let jobs: Int
    private var submitted = 0
    private var answered = 0
    private var agenda = EventHeap<Happening>()

    init(seed: UInt64, workers count: Int = 4, weather: Weather, jobs: Int) {
        self.weather = weather
        self.jobs = jobs
        random = SplitMix(seed: seed)
        dispatcher = Dispatcher()
        names = (0..<count).map { "w\($0)" }
        for (number, name) in names.enumerated() {
            links[name] = Link(hasNotes: weather.areNotesKept || number % 2 == 0)
            // Two models, so that tokens of the wrong worker are seen to be wrong.
            workers[name] = SimulatedWorker(
                name: name, boot: 1, model: UInt32(number % 2))
            agenda.plan(.beat(name, boot: 1), at: .milliseconds(number))
        }
        agenda.plan(.submit, at: .milliseconds(5))
        agenda.plan(.tick, at: .milliseconds(20))
        agenda.plan(.misfortune, at: .milliseconds(50))
    }

    var isDone: Bool {
        answered == jobs && dispatcher.outCount + dispatcher.waitingCount == 0
            && workers.values.allSatisfy { !$0.isBusy }
    }

    /// Lets everything happen until every job has its end and every worker is idle.
    mutating func run() {
        let limit = Duration.seconds(jobs + 100)
        while !isDone, violations.count < 5, let (time, happening) = agenda.next() {
            now = time
            if now > limit {
                let open = clients.filter { !$0.value.isEnded }.map(\.key).sorted()
                violations.append("not done after \(limit): \(open.prefix(5))")
                return
            }
            perform(happening)
        }
    }

    private mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && Double.random(in: 0..<1, using: &random) < probability
    }

    // MARK: - What happens

    private mutating func perform(_ happening: Happening) {
        switch happening {
        case .submit: submit()
        case .cancel(let id):
            clients[id]?.isCancelled = true
            perform(dispatcher.cancel(id, now: now))
        case .comeBack(let id):
            guard let client = clients[id], client.isEnded else { return }
            clients[id]?.comeBack()
            answered -= 1
            submit(job(id, tokens: client.tokens, lease: 15_000, resume: client.ids))
        case .tick:
            perform(dispatcher.tick(now: now))
            agenda.plan(.tick, at: now + .milliseconds(20))
        case .misfortune:
            misfortune()
            agenda.plan(.misfortune, at: now + .milliseconds(50))
        case .toDispatcher(let event):
            perform(dispatcher.receive(event, now: now))
        case .boot(let name):
            links[name]?.isUp = true
            if let boot = workers[name]?.boot { agenda.plan(.beat(name, boot: boot), at: now) }
        case .toWorker(let name, let boot, let message):
            guard let worker = awake(name, boot, happening) else { return }
            say(worker.receive(message, now: now), worker)
            planWork(name)
        case .work(let name, let boot):
            guard let worker = awake(name, boot, happening) else { return }
            worker.isWorkPlanned = false
            work(worker)
            planWork(name)
        case .beat(let name, let boot):
            guard let worker = awake(name, boot, happening) else { return }
            say(worker.table.expire(now: now).map(\.body) + [worker.status()], worker)
            agenda.plan(happening, at: now + .seconds(1))
        }
    }

    /// The process that is meant, if it lives; for a frozen process, the happening is planned again.
    private mutating func awake(
        _ name: String, _ boot: UInt64, _ happening: Happening
    ) -> SimulatedWorker? {
        guard let worker = workers[name], worker.boot == boot, links[name]?.isUp == true else {
            return nil
        }
        guard worker.frozenUntil > now else { return worker }
        agenda.plan(happening, at: worker.frozenUntil)
        return nil
    }

    private mutating func planWork(_ name: String) {
        guard let worker = workers[name], worker.isBusy, !worker.isWorkPlanned else { return }
        worker.isWorkPlanned = true
        let pause = random.duration(milliseconds: 1...12)
        agenda.plan(.work(name, boot: worker.boot), at: now + pause)
    }

    private mutating func work(_ worker: SimulatedWorker) {
        if let id = worker.table.running?.jobID, let place = clients[id]?.poisonAt,
            worker.isAt(place)
        {
            clients[id]?.kills += 1
            die(worker)
            return
        }
        let bodies = worker.work(now: now) { job, attempt in
            clients[job.id]?.executions += 1
            if let cancelled = worker.cancelledUnseen[job.id], attempt <= cancelled {
                violations.append("\(job.id) runs though it was cancelled here before it came")
            }
        }
        say(bodies, worker)
    }

    private mutating func submit() {
        if submitted - answered < 24 {
            let id = "j\(submitted)"
            submitted += 1
            let tokens = Int.random(in: 1...14, using: &random)
            var client = ClientRecord(id: id, tokens: tokens)
            var job = job(id, tokens: tokens, lease: 15_000)
            if chance(weather.poison) { client.poisonAt = tokens / 2 }
            if chance(weather.deadlines) {
                let deadline = UInt32.random(in: 20...20_000, using: &random)
                job.deadlineMilliseconds = deadline
                client.deadlineAt = now + .milliseconds(deadline)
            }
            if chance(weather.cancels) {
                agenda.plan(.cancel(id), at: now + random.duration(milliseconds: 0...1_000))
            }
            clients[id] = client
            submit(job)
        }
        if submitted < jobs { agenda.plan(.submit, at: now + .milliseconds(4)) }
    }

    private mutating func submit(_ job: GenerationJob) {
        do throws(JobFailure) {
            perform(try dispatcher.submit(job, now: now))
        } catch {
            violations.append("\(job.id) is refused: \(error)")
        }
    }

    // MARK: - What goes wrong

    private mutating func misfortune() {
        guard let name = names.randomElement(using: &random), let worker = workers[name],
            links[name]?.isUp == true, worker.frozenUntil <= now
        else { return }
        if chance(weather.freezesPerSecond / 20) {
            let times: [ClosedRange<Int64>] = [3_000...8_000, 9_000...10_600, 15_000...15_000]
            let time = random.duration(
                milliseconds: times.randomElement(using: &random) ?? times[0])
            worker.frozenUntil = now + time
            // Its last word may have been a second before.
            if time >= .seconds(9) { noteDeath(of: worker) }
        }
        if chance(weather.cutsPerSecond / 20) {
            links[name]?.cutUntil = now + random.duration(milliseconds: 100...4_000)
        }
        if chance(weather.drainsPerSecond / 20) {
            for id in worker.known { clients[id]?.exits += 1 }
            say(worker.drain(now: now), worker)
            restart(worker, crashedOn: nil)
        }
    }

    private mutating func die(_ worker: SimulatedWorker) {
        noteDeath(of: worker)
        let isNoted = links[worker.name]?.hasNotes == true
        restart(worker, crashedOn: isNoted ? worker.table.running?.jobID : nil)
    }

    private mutating func noteDeath(of worker: SimulatedWorker) {
        for id in worker.known where clients[id]?.isEnded == false { clients[id]?.deaths += 1 }
    }

    private mutating func restart(_ worker: SimulatedWorker, crashedOn: String?) {
        workers[worker.name] = SimulatedWorker(
            name: worker.name, boot: worker.boot + 1, model: worker.model, crashedOn: crashedOn)
        links[worker.name]?.isUp = false
        // The new process has a new connection: events of the old one may arrive after its first.
        links[worker.name]?.events = .zero
        let pauses: [Int64] = [10, 300, 1_500, 12_000]
        let pause = pauses.randomElement(using: &random) ?? 300
        agenda.plan(.boot(worker.name), at: now + .milliseconds(pause))
    }

    // MARK: - Pipes

    /// Sends what the process says, unless it dies in between.
    private mutating func say(_ bodies: [WorkerEvent.Body], _ worker: SimulatedWorker) {
        for body in bodies {
            guard workers[worker.name] === worker else { return }
            if chance(weather.deathPerEvent) {
                die(worker)
                return
            }
            let event = worker.event(body)
            transmit(.toDispatcher(event), by: \.events, of: worker.name)
        }
    }

    /// Nothing, one copy or two, each after what was sent by the same pipe before.
    private mutating func transmit(
        _ happening: Happening, by pipe: WritableKeyPath<Link, Duration>, of name: String
    ) {
        if chance(weather.loss) { return }
        guard var link = links[name] else { return }
        let delay =
            weather.delay == .zero
            ? .zero : random.duration(milliseconds: 0...weather.delay.wholeMilliseconds)
        link[keyPath: pipe] = max(link[keyPath: pipe], now + delay)
        links[name] = link
        agenda.plan(happening, at: link[keyPath: pipe])
        if chance(weather.duplication) { agenda.plan(happening, at: link[keyPath: pipe]) }
    }

    private mutating func perform(_ actions: [Dispatcher.Action]) {
        var actions = actions[...]
        while let action = actions.popFirst() {
            switch action {
            case .deliver(let event, let id):
                guard var client = clients[id] else {
                    violations.append("an event of unknown job \(id)")
                    continue
                }
                let wasEnded = client.isEnded
                if let violation = client.take(event, now: now) { violations.append(violation) }
                if client.isEnded, !wasEnded { answered += 1 }
                if client.wasCancelled, chance(weather.returns) {
                    let pause = random.duration(milliseconds: 0...500)
                    agenda.plan(.comeBack(id), at: now + pause)
                }
                clients[id] = client
            case .send(let message, let name, let channel):
                check(message)
                guard let worker = workers[name], let link = links[name], link.isUp,
                    link.cutUntil <= now
                else {
                    actions =
                        (dispatcher.undelivered(message, worker: name, now: now) + actions)[...]
                    continue
                }
                transmit(
                    .toWorker(name, boot: worker.boot, message),
                    by: channel == .jobs ? \.jobs : \.control, of: name)
            case .accepted, .connect, .reconnect, .disconnect: break
            }
        }
    }

    /// Every copy goes on after what the client has.
    private mutating func check(_ message: DispatcherMessage) {
        guard case .job(let job, let attempt) = message else { return }
        guard var client = clients[job.id] else { return }
        client.attempts = max(client.attempts, Int(attempt))
        clients[job.id] = client
        if client.ids == job.resumeIDs { return }
        violations.append("\(job.id) resumes after \(job.resumeIDs), held are \(client.ids)")
    }
}
