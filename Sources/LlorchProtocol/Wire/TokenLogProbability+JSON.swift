// Log-probabilities as members of `token` and `end` events, and back.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

extension JSONWriter {
    /// Writes `{"id":…,"bytes":[…],"logprob":…,"top":[…]}`.
    mutating func object(of token: TokenLogProbability) {
        beginObject()
        member("id", token.id)
        member("bytes", token.bytes)
        key("logprob")
        if let value = token.logProbability, value.isFinite { number(value) } else { null() }
        key("top")
        beginArray()
        for alternative in token.top {
            beginObject()
            member("id", alternative.id)
            member("bytes", alternative.bytes)
            member("logprob", alternative.logProbability.isFinite ? alternative.logProbability : 0)
            endObject()
        }
        endArray()
        endObject()
    }
}

extension FieldReader {
    /// The list of a `token` event; empty where there is none.
    mutating func logProbabilities() -> [TokenLogProbability] {
        let objects = optional("logprobs", FieldType.object.list) ?? []
        return objects.compactMap { logProbability(in: $0) }
    }

    /// The end mark of an `end` event.
    mutating func endMark() -> TokenLogProbability? {
        optional("end_mark", .object).flatMap { logProbability(in: $0) }
    }

    private mutating func logProbability(in object: JSONObject) -> TokenLogProbability? {
        var reader = FieldReader(object)
        let id = reader.required("id", .u32)
        let bytes = reader.required("bytes", .bytes)
        let value = reader.optional("logprob", .f64)
        let top = reader.required("top", FieldType.object.list)
        for problem in reader.problems { note(problem) }
        guard let id, let bytes, let top else { return nil }
        let alternatives = top.compactMap { entry -> TokenLogProbability.Alternative? in
            var reader = FieldReader(entry)
            let id = reader.required("id", .u32)
            let bytes = reader.required("bytes", .bytes)
            let value = reader.required("logprob", .f64)
            for problem in reader.problems { note(problem) }
            guard let id, let bytes, let value else { return nil }
            return TokenLogProbability.Alternative(id: id, bytes: bytes, logProbability: value)
        }
        return TokenLogProbability(
            id: id, bytes: bytes, logProbability: value, top: alternatives)
    }
}

extension FieldType where Value == [UInt8] {
    fileprivate static var bytes: Self {
        let byte = FieldType<UInt8>(
            name: "u8", phrase: "an integer from 0 to 255", kindName: "a number"
        ) { $0.asNumber?.asUInt64.flatMap(UInt8.init(exactly:)) }
        return byte.list
    }
}
