// What config.json may say, and the sentence for everything else.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import Testing

struct ConfigurationFileTests {
    @Test func readsGPT2() throws {
        let configuration = try parse(
            """
            {"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
             "attn_pdrop": 0.1, "bos_token_id": 50256, "eos_token_id": 50256,
             "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2",
             "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
             "vocab_size": 50257, "task_specific_params": {"text-generation": {"do_sample": true}}}
            """)
        #expect(
            configuration
                == GPT2Configuration(
                    vocabularySize: 50257, contextLength: 1024, hiddenSize: 768, layerCount: 12,
                    headCount: 12, endOfText: [50256]))
        #expect(configuration.feedForwardSize == 3072)
        #expect(configuration.headSize == 64)
        #expect(configuration.attentionScale(layer: 7) == 0.125)
    }

    @Test func readsEverySwitch() throws {
        let configuration = try parse(
            """
            {"model_type": "gpt2", "vocab_size": 300, "max_position_embeddings": 64,
             "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "n_inner": 48,
             "layer_norm_epsilon": 0.001, "activation_function": "gelu",
             "tie_word_embeddings": false, "scale_attn_weights": false,
             "scale_attn_by_inverse_layer_idx": true, "eos_token_id": [7, 3, 7]}
            """)
        #expect(
            configuration
                == GPT2Configuration(
                    vocabularySize: 300, contextLength: 64, hiddenSize: 32, layerCount: 3,
                    headCount: 4, feedForwardSize: 48, layerNormEpsilon: 0.001,
                    activation: .geluErf, tieWordEmbeddings: false, scaleAttentionWeights: false,
                    scaleAttentionByInverseLayerIndex: true, endOfText: [3, 7]))
        #expect(configuration.attentionScale(layer: 2) == 1 / Float(3))
    }

    @Test(arguments: [
        ("gelu_new", Activation.geluTanh), ("gelu_pytorch_tanh", .geluTanh), ("gelu", .geluErf),
        ("relu", .relu), ("gelu_fast", .geluTanh), ("gelu_accurate", .geluTanh),
        ("gelu_python", .geluErf),
    ])
    func readsActivations(name: String, activation: Activation) throws {
        #expect(try parse(with: #""activation_function": "\#(name)""#).activation == activation)
    }

    @Test func endOfTextMayBeAbsent() throws {
        #expect(try parse(with: #""eos_token_id": null"#).endOfText == [])
        #expect(try parse(with: #""n_inner": null"#).endOfText == [])
        #expect(try parse(with: #""vocab_size": 50257"#).endOfText == [50256])
    }

    /// An id that no vocabulary of this size has can never come.
    @Test func endMarksOutsideTheVocabularyAreLeftOut() throws {
        for (member, ids) in [
            ("50256", []), ("-1", []), ("[3, 100, 7]", [3, 7]),
            ("[99, 18446744073709551616]", [99]),
            ("[]", []),
        ] {
            #expect(try parse(with: #""eos_token_id": \#(member)"#).endOfText == ids, "\(member)")
        }
    }

    @Test func generationConfigurationAloneNamesTheEndMarks() throws {
        for (text, ids) in [
            (#"{"eos_token_id": 5}"#, [5]), (#"{"eos_token_id": [9, 4]}"#, [4, 9]), ("{}", []),
            (#"{"eos_token_id": null}"#, []), (#"{"eos_token_id": 5, "top_k": 3}"#, [5]),
        ] {
            #expect(try parse(generation: text).endOfText == ids, "\(text)")
        }
    }

    @Test(arguments: [
        (
            #"{"suppress_tokens": [1]}"#,
            "suppress_tokens must be absent or empty, found an array; "
                + "remove it; the worker does not do this"
        ),
        (
            #"{"repetition_penalty": 1.2}"#,
            "repetition_penalty must be absent or 1, found 1.2; "
                + "remove it and give it in each request"
        ),
        (
            #"{"forced_eos_token_id": 0}"#,
            "forced_eos_token_id must be absent or empty, found 0; "
                + "remove it; the worker does not do this"
        ),
        ("[]", "must hold a JSON object, found an array"),
    ])
    func refusesRulesOfGeneration(text: String, sentence: String) {
        let error = #expect(throws: ModelFileError.self) { try parse(generation: text) }
        #expect(error?.description == "m/generation_config.json: \(sentence)")
    }

    @Test(arguments: [
        (
            #""model_type": "llama""#,
            "model_type must be 'gpt2', found 'llama'; this engine runs GPT-2 models only"
        ),
        (
            #""model_type": null"#,
            "model_type is missing, expected 'gpt2'; this engine runs GPT-2 models only"
        ),
        (
            #""add_cross_attention": true"#,
            "add_cross_attention must be false, found true; "
                + "the decoder of an encoder-decoder model does not run alone"
        ),
        (
            #""quantization_config": {"bits": 4}"#,
            "quantization_config must be absent, but is there; "
                + "use the unquantized model; the worker quantizes while loading"
        ),
        (
            #""vocab_size": null"#,
            "vocab_size is missing, expected an integer from 1 to 1048576; "
                + "use the config.json that came with the weights"
        ),
        (#""vocab_size": 0"#, "vocab_size must be an integer from 1 to 1048576, found 0"),
        (#""vocab_size": -1"#, "vocab_size must be an integer from 1 to 1048576, found -1"),
        (
            #""n_positions": 1048577"#,
            "n_positions must be an integer from 1 to 1048576, found 1048577"
        ),
        (#""n_embd": 64.0"#, "n_embd must be an integer from 1 to 65536, found 64.0"),
        (#""n_embd": "64""#, "n_embd must be an integer from 1 to 65536, found '64'"),
        (
            #""n_layer": 18446744073709551616"#,
            "n_layer must be an integer from 1 to 1024, found 18446744073709551616"
        ),
        (#""n_layer": [12]"#, "n_layer must be an integer from 1 to 1024, found an array"),
        (#""n_head": 7"#, "n_head must divide the hidden size 64, found 7"),
        (#""n_inner": 262145"#, "n_inner must be an integer from 1 to 262144, found 262145"),
        (
            #""layer_norm_epsilon": 0"#,
            "layer_norm_epsilon must be a number from 1e-12 to 1.0, found 0"
        ),
        (
            #""layer_norm_epsilon": 1e-300"#,
            "layer_norm_epsilon must be a number from 1e-12 to 1.0, found 1e-300"
        ),
        (
            #""activation_function": "swish\n""#,
            "activation_function must be one of gelu_new, gelu_pytorch_tanh, gelu and relu, "
                + #"found 'swish\n'"#
        ),
        (#""tie_word_embeddings": 1"#, "tie_word_embeddings must be true or false, found 1"),
        (#""eos_token_id": "1""#, "eos_token_id must be an id or a list of ids, found '1'"),
        (#""eos_token_id": [1, 2.0]"#, "eos_token_id must be an id or a list of ids, found 2.0"),
        (
            #""hidden_size": 32"#,
            "n_embd and hidden_size are the same and must be equal, found 64 and 32; "
                + "remove one of them"
        ),
        (
            #""no_repeat_ngram_size": 2"#,
            "no_repeat_ngram_size must be absent or 0, found 2; "
                + "remove it; the worker does not do this"
        ),
        (
            #""eos_token_id": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"#,
            "eos_token_id must have at most 16 ids, found 17"
        ),
    ])
    func refuses(member: String, sentence: String) {
        let error = #expect(throws: ModelFileError.self) { try parse(with: member) }
        #expect(error?.description == "m/config.json: \(sentence)")
    }

    @Test func refusesWhatIsNoObject() {
        let array = #expect(throws: ModelFileError.self) { try parse("[]") }
        #expect(array?.description == "m/config.json: must hold a JSON object, found an array")
        let cut = #expect(throws: ModelFileError.self) { try parse(#"{"model_type": "gpt2""#) }
        #expect(
            cut?.description
                == "m/config.json: is not valid JSON: the document ends inside a value, at byte 21")
    }

    /// A small valid file in which one member is replaced or added.
    private func parse(with member: String) throws -> GPT2Configuration {
        let key = member.prefix { $0 != ":" }
        let members = [
            #""model_type": "gpt2""#, #""vocab_size": 100"#, #""n_positions": 32"#,
            #""n_embd": 64"#, #""n_layer": 2"#, #""n_head": 4"#,
        ]
        let kept = members.filter { !$0.hasPrefix(key) }
        return try parse("{\((kept + [member]).joined(separator: ", "))}")
    }

    /// A small file whose end mark is 3, beside a generation_config.json.
    private func parse(generation text: String) throws -> GPT2Configuration {
        let bytes = Array(
            #"""
            {"model_type": "gpt2", "vocab_size": 100, "n_positions": 32, "n_embd": 64,
             "n_layer": 2, "n_head": 4, "eos_token_id": 3}
            """#.utf8)
        return try GPT2Configuration(
            parsing: bytes.span, path: "m/config.json",
            generation: (Array(text.utf8), "m/generation_config.json"))
    }

    private func parse(_ text: String) throws -> GPT2Configuration {
        let bytes = Array(text.utf8)
        return try GPT2Configuration(parsing: bytes.span, path: "m/config.json")
    }
}
