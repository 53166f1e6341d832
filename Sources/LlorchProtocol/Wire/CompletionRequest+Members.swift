// Members of `POST /v1/completions` that have forms of their own: prompts in four forms, a stop sequence or many,
// seeds below zero; and those that are taken only where they ask for nothing.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

extension FieldType where Value == UInt64 {
    /// Any integer of 64 bits; a negative one is the number of the same bits.
    static var seed: Self {
        Self(
            name: "i64|u64", phrase: "an integer from -9223372036854775808 to 18446744073709551615",
            kindName: "a number"
        ) { value in
            value.asNumber.flatMap { $0.asUInt64 ?? $0.asInt64.map { UInt64(bitPattern: $0) } }
        }
    }
}

extension FieldType where Value == [String] {
    static var textOrList: Self {
        Self(
            name: "string|[string]", phrase: "a string or an array of strings",
            kindName: "an array"
        ) { value in
            value.asString.map { [$0] } ?? FieldType<String>.text.list.convert(value)
        }
    }
}

extension FieldType where Value == [Prompt] {
    static var prompts: Self {
        Self(
            name: "string|[string]|[u32]|[[u32]]",
            phrase: "a string, an array of strings, an array of token ids (integers), or an array "
                + "of arrays of token ids", kindName: "an array"
        ) { value in
            if let text = value.asString { return [.text(text)] }
            switch value.asArray?.first {
            case .string:
                return FieldType<String>.text.list.convert(value)?.map { .text($0) }
            case .number:
                return FieldType<TokenID>.u32.list.convert(value).map { [.ids($0)] }
            case .array:
                return FieldType<TokenID>.u32.list.list.convert(value)?.map { .ids($0) }
            default: return value.asArray?.isEmpty == true ? [] : nil
            }
        }
    }
}

extension FieldReader {
    mutating func note(_ field: String, _ constraint: String, _ message: String) {
        note(FieldError(field: field, constraint: constraint, message: message))
    }

    /// The problems, or as many of them as are told.
    var reported: ArraySlice<FieldError> { problems.prefix(JobValidation.reportedErrors) }

    mutating func prompts() -> [Prompt]? {
        guard has("prompt") else {
            note(
                "prompt", "required",
                "prompt is required; for a text that follows nothing send the id of the model's "
                    + "<|endoftext|>, which is [50256] for GPT-2")
            return nil
        }
        let prompts = optional("prompt", .prompts)
        if prompts?.isEmpty == true {
            note("prompt", "non_empty", "prompt must have at least one prompt")
        }
        return prompts
    }

    /// Reads the members of `stream_options`.
    mutating func includesUsage(_ options: JSONObject) -> Bool {
        var reader = FieldReader(options)
        let includesUsage = reader.optional("include_usage", .flag) ?? false
        if reader.optional("include_obfuscation", .flag) == true {
            reader.note(
                "include_obfuscation", "false",
                "include_obfuscation is not supported; leave it out, or let it be false")
        }
        reader.noteUnknown(notIn: ["include_usage", "include_obfuscation"])
        for problem in reader.problems {
            note(
                "stream_options." + problem.field, problem.constraint,
                "stream_options: " + problem.message)
        }
        return includesUsage
    }

    /// Notes every member outside `known`, whatever its value.
    mutating func noteUnknown(notIn known: Set<String>) {
        for (key, _) in object.members where !known.contains(key) {
            let isName =
                key.utf8.count <= 64
                && key.utf8.allSatisfy { $0 == UInt8(ascii: "_") || isLetterOrDigit($0) }
            let name = isName ? key : "(not a name)"
            note(name, "known_field", "Unrecognized request argument supplied: \(name)")
        }
    }

    /// Notes the members of OpenAI's API that would change the answer in a way that there is not here.
    mutating func noteUnsupported() {
        for name in ["presence_penalty", "frequency_penalty"] {
            guard let value = optional(name, .f64), value != 0 else { continue }
            note(
                name, "equal(0)",
                "\(name) is not supported; leave it out, or let it be 0. There is "
                    + "repetition_penalty")
        }
        if let bias = optional("logit_bias", .object), bias.count > 0 {
            note("logit_bias", "empty", "logit_bias is not supported; leave it out")
        }
        for name in ["suffix", "prediction"] where has(name) {
            note(name, "null", "\(name) is not supported; leave it out")
        }
    }
}
