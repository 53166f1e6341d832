// What `llorch-worker serve` does once its arguments are understood: options, keys, signals, and the loop.
// What the loop does: Loop/WorkerLoop.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine
import LlorchLog
import LlorchProtocol
package import LlorchQueue
import LlorchSystem
package import Logging

extension WorkerOptions {
    /// Reads the texts of a command line; opens and reads nothing.
    ///
    /// - Parameters:
    ///   - name: of the worker; nil chooses one that no other worker has.
    ///   - jobs: an address, bound unless the text says otherwise.
    ///   - control: an address, bound unless the text says otherwise.
    ///   - events: an address, connected to unless the text says otherwise.
    ///   - advertisedJobs: the jobs address as dispatchers reach it; nil is the bound one.
    ///   - advertisedControl: the control address as dispatchers reach it; nil is the bound one.
    ///   - mayBeExposed: whether addresses may be bound where other machines reach them.
    ///   - keyFiles: checked against the addresses.
    /// - Throws: a sentence that names the option.
    package init(
        name: String?, jobs: String, control: String, events: String, advertisedJobs: String?,
        advertisedControl: String?, mayBeExposed: Bool, keyFiles: QueueKeyFiles
    ) throws(CommandFailure) {
        func read(
            _ option: String, _ text: String, _ direction: QueueEndpoint.Direction
        ) throws(CommandFailure) -> QueueEndpoint {
            do throws(QueueAddressError) {
                return try QueueEndpoint(
                    parsing: text, default: direction, mayBeExposed: mayBeExposed)
            } catch {
                throw CommandFailure("--\(option) \(error)")
            }
        }
        guard name != "" else { throw CommandFailure("--worker-id must not be empty") }
        let jobs = try read("jobs", jobs, .bind)
        self.init(
            name: name ?? WorkerName.standard(jobs: jobs), jobs: jobs,
            control: try read("control", control, .bind),
            events: try read("events", events, .connect))
        if let problem = keyFiles.problem(for: endpoints) { throw CommandFailure(problem) }
        self.advertisedJobs = advertisedJobs
        self.advertisedControl = advertisedControl
        for (option, endpoint, advertised) in [
            ("jobs", self.jobs, advertisedJobs), ("control", self.control, advertisedControl),
        ] where endpoint.isWildcard && advertised == nil {
            throw CommandFailure(
                "--\(option) \(endpoint): bound to every address, so that dispatchers cannot be told "
                    + "where to connect; add --advertise-\(option) tcp://HOST:PORT")
        }
    }

    fileprivate var endpoints: [QueueEndpoint] { [jobs, control, events] }
}

package enum ServeCall {
    /// Serves a model until a signal or a dispatcher ends that.
    ///
    /// - Parameters:
    ///   - options: what the worker is told; `security` is read from `keyFiles`.
    ///   - keyFiles: whose keys are used.
    ///   - model: what is loaded.
    ///   - chunkLength: tokens of a prefill chunk; nil lets the model choose.
    ///   - logger: of the process.
    ///   - onStage: told what the loop comes by.
    /// - Throws: what cannot be read, opened or loaded.
    package static func run(
        _ options: WorkerOptions, keyFiles: QueueKeyFiles, model: ModelChoice, chunkLength: Int?,
        logger: Logger, onStage: @escaping StageObserver = { _ in }
    ) throws {
        let path = try model.path()
        var logger = logger
        logger[metadataKey: LogKey.modelReference] = "\(path)"
        let startup: Logger.Metadata = [
            "model": "\(path)", "precision": "\(model.precision.rawValue)",
            "isa": "\(try model.kernels().instructionSet.rawValue)",
        ]
        try run(options, keyFiles: keyFiles, startup: startup, logger: logger, onStage: onStage) {
            progress in
            let logger = logger.named(options.name)
            logger.info("the model is being loaded", metadata: .of(.modelLoadStart))
            var logged = -1
            let loaded = try model.load { fraction in
                let quarter = Int(fraction * 4)
                // On a terminal the progress bar says as much, and a line would tear the bar.
                if quarter > logged, !Output.errorIsTerminal {
                    logged = quarter
                    logger.info(
                        "model_load_progress",
                        metadata: .of(.modelLoadProgress, ["percent": "\(quarter * 25)"]))
                }
                try progress(fraction)
            }
            logger.info(
                "model is loaded",
                metadata: .of(
                    .modelLoadComplete,
                    [
                        "precision": "\(loaded.facts.precision)",
                        "reason": "\(loaded.precisionReason)",
                    ]))
            return try CPUBackend(loaded, chunkLength: chunkLength)
        }
    }

    /// As above, with an engine that the caller makes; `startup` is logged beside the addresses.
    package static func run<Backend: InferenceBackend & ~Copyable>(
        _ options: WorkerOptions, keyFiles: QueueKeyFiles, startup: Logger.Metadata,
        logger: Logger, onStage: @escaping StageObserver = { _ in },
        makeBackend: (_ progress: @escaping WorkerLoop.Progress) throws -> Backend
    ) throws {
        DescriptorLimit.raise()
        var options = options
        options.security = try keyFiles.load(for: options.endpoints)
        var metadata = startup
        metadata["jobs"] = "\(options.jobs)"
        metadata["control"] = "\(options.control)"
        metadata["events"] = "\(options.events)"
        metadata["key"] = "\(options.security.map { "\($0.keys.publicKey)" } ?? "none")"
        logger.named(options.name).info("startup", metadata: .of(.startup, metadata))
        try WorkerLoop.run(
            options, shutdown: ShutdownSignal.handlingTermination(), logger: logger,
            onStage: onStage, makeBackend: makeBackend)
    }
}
