// A prompt of token ids through the function by which HTTP reads requests: docs/wire-protocol.md, section 4.1.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import Testing

@Suite struct PromptTests {
    @Test("ids take the place of the text")
    func promptIDs() throws {
        func job(_ members: String) throws -> GenerationJob {
            try ExecuteRequest(parsing: Array((#"{"job_id":"j","# + members + "}").utf8)).job
        }
        func error(_ members: String) throws -> FieldError? {
            try refusal(#"{"job_id":"j","# + members + "}").failure.errors.first
        }
        #expect(try job(#""prompt_ids":[1,4294967295]"#).prompt == .ids([1, .max]))
        #expect(try job(#""prompt_ids":[7],"prompt":null"#).prompt == .ids([7]))
        let ids = Array(repeating: "1", count: 16_384).joined(separator: ",")
        #expect(try job(#""prompt_ids":[\#(ids)]"#).prompt.bytes == 4 * 16_384)
        #expect(
            try error(#""prompt_ids":[1,\#(ids)]"#)
                == FieldError(
                    field: "prompt_ids", constraint: "length(1..=16384)",
                    message: "prompt_ids must have at most 16384 ids (got 16385)"))
        #expect(
            try error(#""prompt_ids":[]"#)
                == FieldError(
                    field: "prompt_ids", constraint: "length(1..=16384)",
                    message: "prompt_ids must not be empty"))
        #expect(
            try error(#""prompt_ids":[1],"special_tokens":true"#)?.constraint
                == "conflicts(prompt_ids)")
    }
}
