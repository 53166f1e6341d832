// Workers and pipes in virtual time: the dispatcher against real tables, with loss, repeats, delay and kills.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import LlorchQueue
import TestSupport

/// What goes wrong, in chances per message or per millisecond.
struct Weather {
    var loss = 0.0
    var duplication = 0.0
    /// Milliseconds, at most; messages may overtake one another.
    var delay: Int64 = 0
    var killsPerSecond = 0.0
    /// Freezes of 3 or 15 s.
    var freezesPerSecond = 0.0
}

/// One dispatcher, some workers, and the record of what a client was given.
struct Simulation {
    final class Worker {
        let boot: UInt64
        var table = JobTable()
        var backend = ScriptedBackend()
        var sequence: UInt64 = 0
        var beatAt: Int64 = 0
        /// Dead until then.
        var startsAt: Int64 = 0
        /// Stopped until then; messages wait.
        var frozenUntil: Int64 = 0
        var executions: [String: Int] = [:]

        init(boot: UInt64, startsAt: Int64 = 0) {
            self.boot = boot
            self.startsAt = startsAt
        }
    }

    private struct InFlight<Content> {
        var arrives: Int64
        var content: Content
    }

    let weather: Weather
    var random: SplitMix
    var now: Int64 = 0
    var dispatcher: Dispatcher
    var workers: [String: Worker] = [:]
    var received: [String: [TokenEvent]] = [:]
    var kills = 0
    private var toWorkers: [InFlight<(String, DispatcherMessage)>] = []
    private var toDispatcher: [InFlight<WorkerEvent>] = []

    init(seed: UInt64, workers count: Int, weather: Weather, crashLimit: Int = .max) {
        self.weather = weather
        random = SplitMix(seed: seed)
        var configuration = Dispatcher.Configuration()
        configuration.crashLimit = crashLimit
        dispatcher = Dispatcher(configuration: configuration)
        for number in 0..<count { workers["w\(number)"] = Worker(boot: 1) }
    }

    mutating func submit(_ job: GenerationJob) throws {
        perform(try dispatcher.submit(job, now: now))
    }

    mutating func cancel(_ id: String) {
        perform(dispatcher.cancel(id, now: now))
    }

    /// Lets 5 ms pass.
    mutating func step() {
        now += 5
        misfortune()
        arrive()
        for name in workers.keys.sorted() { work(name) }
        perform(dispatcher.tick(now: now))
    }

    private mutating func misfortune() {
        guard let name = workers.keys.sorted().randomElement(using: &random) else { return }
        if Double.random(in: 0..<1, using: &random) < weather.killsPerSecond / 200 {
            kills += 1
            let boot = (workers[name]?.boot ?? 0) + 1
            workers[name] = Worker(boot: boot, startsAt: now + 1_500)
            toWorkers.removeAll { $0.content.0 == name }
        }
        if Double.random(in: 0..<1, using: &random) < weather.freezesPerSecond / 200 {
            workers[name]?.frozenUntil = now + (Bool.random(using: &random) ? 3_000 : 15_000)
        }
    }

    private mutating func arrive() {
        guard !toDispatcher.isEmpty || !toWorkers.isEmpty else { return }
        let events = toDispatcher.filter { $0.arrives <= now }
        if !events.isEmpty { toDispatcher.removeAll { $0.arrives <= now } }
        for event in events { perform(dispatcher.receive(event.content, now: now)) }
        let messages = toWorkers.filter { message in
            message.arrives <= now && (workers[message.content.0]?.frozenUntil ?? 0) <= now
        }
        toWorkers.removeAll { message in
            message.arrives <= now && (workers[message.content.0]?.frozenUntil ?? 0) <= now
        }
        for message in messages {
            let (name, content) = message.content
            guard let answers = workers[name]?.table.receive(content, now: now) else { continue }
            say(answers.map(\.body), from: name)
        }
    }

    /// One step of the backend, and a heartbeat when it is time.
    private mutating func work(_ name: String) {
        guard let worker = workers[name], worker.startsAt <= now, worker.frozenUntil <= now
        else { return }
        var bodies = worker.table.expire(now: now).map(\.body)
        if worker.table.running == nil {
            worker.backend.cancel()
            if let next = worker.table.startNext(now: now) {
                worker.executions[next.job.id, default: 0] += 1
                try? worker.backend.start(next.job, queuedMilliseconds: 0)
            }
        } else if case .event(let event) = worker.backend.step() {
            bodies += worker.table.record(event, now: now).map(\.body)
        }
        if worker.beatAt <= now {
            worker.beatAt = now + 1_000
            bodies.append(
                .heartbeat(
                    WorkerStatus(
                        state: .idle, jobs: "j", control: "c",
                        running: worker.table.running?.jobID, model: worker.backend.facts)))
        }
        say(bodies, from: name)
    }

    private mutating func say(_ bodies: [WorkerEvent.Body], from name: String) {
        for body in bodies {
            guard let worker = workers[name] else { return }
            worker.sequence += 1
            let event = WorkerEvent(
                worker: name, boot: worker.boot, sequence: worker.sequence, body: body)
            for time in arrivals() { toDispatcher.append(.init(arrives: time, content: event)) }
        }
    }

    /// When a message arrives: never, once or twice.
    private mutating func arrivals() -> [Int64] {
        if Double.random(in: 0..<1, using: &random) < weather.loss { return [] }
        let isTwice = Double.random(in: 0..<1, using: &random) < weather.duplication
        return (0..<(isTwice ? 2 : 1)).map { _ in
            now + (weather.delay == 0 ? 0 : Int64.random(in: 0...weather.delay, using: &random))
        }
    }

    private mutating func perform(_ actions: [Dispatcher.Action]) {
        var actions = actions[...]
        while let action = actions.popFirst() {
            switch action {
            case .deliver(let event, let id): received[id, default: []].append(event)
            case .send(let message, let name, _):
                if let worker = workers[name], worker.startsAt <= now {
                    for time in arrivals() {
                        toWorkers.append(.init(arrives: time, content: (name, message)))
                    }
                } else {
                    actions =
                        (dispatcher.undelivered(message, worker: name, now: now) + actions)[...]
                }
            case .accepted, .connect, .reconnect, .disconnect: break
            }
        }
    }
}
