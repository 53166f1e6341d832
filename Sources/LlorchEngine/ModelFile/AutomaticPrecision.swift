// Which precision a model is held in where nobody chose one: the one that its file stores. The rule as a table:
// docs/model-files-gguf.md. What the precisions are: Tensor/Precision.swift.
// SPDX-License-Identifier: Apache-2.0

/// A precision, and why it was taken.
package struct ChosenPrecision: Sendable, Hashable {
    package let precision: Precision
    /// Half a sentence: `the matrices are stored in Q8_0`.
    package let reason: String
}

extension StoredModel {
    /// Carries out a choice.
    ///
    /// For `auto` with weights in F16 it reads these until one of them is none of bf16.
    package mutating func precision(
        _ choice: PrecisionChoice
    ) throws(ModelFileError) -> ChosenPrecision {
        if let precision = choice.precision {
            return ChosenPrecision(precision: precision, reason: "it was asked for")
        }
        let matrices = configuration.requiredTensors.filter {
            $0.shape.count == 2 && $0.name != "wpe.weight"
        }
        func formats(_ isIncluded: (RequiredTensor) -> Bool) -> Set<StoredFormat> {
            Set(matrices.filter(isIncluded).compactMap { format(of: $0.name) })
        }
        let all = formats { _ in true }
        let names = StoredFormat.allCases.filter(all.contains).map(\.name)
        let stored = "the matrices are stored in " + names.joined(separator: " and ")
        if all.allSatisfy(\.isBlocks) {
            // At q4, tables are held in 8 bits; which format they have makes no difference.
            let inLayers = formats { $0.name.hasPrefix("h.") }
            if inLayers == [.q40] { return ChosenPrecision(precision: .q4, reason: stored) }
            if inLayers.isSubset(of: [.q80, .q40]) {
                return ChosenPrecision(precision: .q8, reason: stored)
            }
        }
        guard all.isSubset(of: [.float16, .bfloat16]) else {
            return ChosenPrecision(precision: .f32, reason: stored)
        }
        for matrix in matrices {
            if try holdsOnlyBF16(matrix.name) { continue }
            return ChosenPrecision(
                precision: .f32, reason: stored + ", and bf16 does not hold all of their values")
        }
        let exactly = all.contains(.float16) ? ", and bf16 holds all of their values" : ""
        return ChosenPrecision(precision: .bf16, reason: stored + exactly)
    }
}
