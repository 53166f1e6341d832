// Which jobs a completion request becomes: their order, their ids and their seeds. What a job may be is said by
// the request's reader: LlorchProtocol/Wire/CompletionRequest.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// The jobs of one request, one for each choice of the answer.
package struct CompletionJobs: Sendable {
    /// The id of the answer, `cmpl-` and 32 hexadecimal digits.
    package let id: String
    /// The seed of the first choice.
    package let seed: UInt64
    /// By the index of the choice: the choices of the first prompt, then those of the second.
    package let jobs: [GenerationJob]

    package init(_ request: CompletionRequest, id: String = CompletionJobs.drawnID()) {
        let seed = request.jobs.first?.seed ?? GenerationJob.drawnSeed()
        let all = request.jobs.flatMap { Array(repeating: $0, count: request.copies) }
        jobs = all.enumerated().map { choice, job in
            var job = job
            job.id = all.count == 1 ? id : "\(id)-\(choice)"
            job.seed = Self.seed(ofChoice: choice, first: seed)
            return job
        }
        self.id = id
        self.seed = seed
    }

    /// The seed of a choice: the first choice has the request's, choice k has the k-th number of the generator
    /// SplitMix64 that begins with the request's seed.
    package static func seed(ofChoice choice: Int, first seed: UInt64) -> UInt64 {
        guard choice > 0 else { return seed }
        // Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
        var mixed = seed &+ UInt64(choice) &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// An id that no other answer has.
    package static func drawnID() -> String {
        let digits = (0..<2).map { _ in
            let half = String(UInt64.random(in: 0 ... .max), radix: 16)
            return String(repeating: "0", count: 16 - half.count) + half
        }
        return "cmpl-" + digits.joined()
    }
}
