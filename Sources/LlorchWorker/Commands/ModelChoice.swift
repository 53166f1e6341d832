// Which model a command runs, in which precision and at which instruction-set level. Reading a model's files is
// LlorchEngine's.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine
import LlorchSystem

/// The options that every command with a model has.
package struct ModelChoice: Sendable, Hashable {
    /// Nil is the demo model.
    private let givenPath: String?
    /// How weights are held in memory.
    let precision: PrecisionChoice
    /// Nil is the best level that this processor has.
    private let instructionSet: InstructionSet?

    /// The names of precisions, for the help: `auto, f32, bf16, q8, q4`.
    package static var precisionNames: String { names(PrecisionChoice.allCases) }
    package static var standardPrecision: String { PrecisionChoice.auto.rawValue }
    /// The names of instruction-set levels, for the help.
    package static var instructionSetNames: String { names(InstructionSet.allCases) }

    /// - Parameters:
    ///   - path: a directory or a file; nil takes the demo model.
    ///   - precision: the name of one.
    ///   - isa: the name of an instruction-set level; nil takes the best.
    /// - Throws: for a name that is none.
    package init(path: String?, precision: String, isa: String?) throws(CommandFailure) {
        givenPath = path
        self.precision = try Self.value(precision, of: "--precision")
        instructionSet = try isa.map { name throws(CommandFailure) in
            try Self.value(name, of: "--isa")
        }
    }

    private static func names<Value: RawRepresentable<String>>(_ values: [Value]) -> String {
        values.map(\.rawValue).joined(separator: ", ")
    }

    private static func value<Value: RawRepresentable<String> & CaseIterable>(
        _ name: String, of option: String
    ) throws(CommandFailure) -> Value {
        guard let value = Value(rawValue: name) else {
            throw CommandFailure(
                "\(option) \(name): expected one of \(names(Array(Value.allCases)))")
        }
        return value
    }

    /// The model's path; looks for the demo model where none was given.
    package func path() throws(CommandFailure) -> String {
        if let givenPath { return givenPath }
        return try DemoModel.path()
    }

    /// - Throws: if this processor cannot run the level asked for.
    func kernels() throws(CommandFailure) -> Kernels {
        let level = instructionSet ?? .best
        guard let kernels = Kernels(level) else {
            throw CommandFailure(
                "this processor cannot run --isa \(level.rawValue); it can run "
                    + Self.names(InstructionSet.allCases.filter(\.isSupported)))
        }
        return kernels
    }

    /// Loads the model, with a progress bar if standard error is a terminal.
    ///
    /// - Parameters:
    ///   - other: a precision in place of the one chosen.
    ///   - progress: called with the fraction that is loaded; an error it throws ends the loading.
    /// - Throws: what cannot be found or read, and what `progress` throws.
    /// - Returns: the model, ready to run.
    package func load(
        at other: Precision? = nil, progress: (Double) throws -> Void = { _ in }
    ) throws -> LoadedModel {
        let path = try path()
        let bar = ProgressBar("loading \(path)")
        defer { bar.clear() }
        return try LoadedModel(
            path: path, precision: other.map { PrecisionChoice($0) } ?? precision,
            kernels: kernels()
        ) { fraction in
            bar.update(fraction)
            try progress(fraction)
        }
    }
}
