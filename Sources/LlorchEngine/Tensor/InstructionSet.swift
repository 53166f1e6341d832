// Which instruction-set level the kernels run at. Chosen once, when a model is loaded; never changes a result.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels

/// A level of `CLlorchKernels`; the raw value is the spelling of `--isa`.
package enum InstructionSet: String, Sendable, Hashable, CaseIterable {
    case generic
    case avx2
    case avx512
    case neon

    /// Whether this processor and operating system can run the level.
    package var isSupported: Bool { llk_is_supported(level) }

    /// The highest level that is supported.
    package static var best: InstructionSet {
        allCases.last(where: \.isSupported) ?? .generic
    }

    var level: llk_level {
        switch self {
        case .generic: LLK_GENERIC
        case .avx2: LLK_AVX2
        case .avx512: LLK_AVX512
        case .neon: LLK_NEON
        }
    }
}
