// The weights of a GGUF file. All checks are done before the first weight is read. The counterpart of
// Safetensors/SafetensorsModel.swift; reading: ModelFile/StoredModel.swift.
// SPDX-License-Identifier: Apache-2.0

extension StoredModel {
    /// Compares the tensors of the file with what its metadata demands.
    package init(_ gguf: GGUFFile) throws(ModelFileError) {
        let configuration = try gguf.configuration()
        self.init(
            configuration, tensors: try Self.select(from: gguf, for: configuration),
            layout: .outputRows)
    }

    /// Every tensor of the configuration under the loader's name, and nothing else.
    private static func select(
        from gguf: GGUFFile, for configuration: GPT2Configuration
    ) throws(ModelFileError) -> [String: StoredTensor] {
        var found: [String: GGUFHeader.Tensor] = [:]
        for tensor in gguf.header.tensors { found[tensor.name] = tensor }
        if configuration.tieWordEmbeddings { found["output.weight"] = nil }
        var selected: [String: StoredTensor] = [:]
        var problems: [String] = []
        var unreadable: [String] = []
        for required in configuration.requiredTensors {
            let (name, shape) = (required.inGGUF.name, required.inGGUF.shape)
            guard let tensor = found.removeValue(forKey: name) else {
                problems.append("\(name) is missing, expected shape \(shape)")
                continue
            }
            if tensor.shape != shape {
                problems.append("\(name) has shape \(tensor.shape), expected \(shape)")
            } else if tensor.type.format == nil {
                unreadable.append("\(name) has type \(tensor.type.name)")
            }
            selected[required.name] = tensor.type.format.map {
                StoredTensor(
                    file: gguf.file, name: name, format: $0, shape: tensor.shape,
                    range: tensor.range)
            }
        }
        problems += found.keys.sorted().map { "\($0.quotedForMessage) is there" }
        guard problems.isEmpty else {
            throw gguf.error(
                .inconsistent,
                "does not fit its metadata (\(configuration.layerCount) blocks): "
                    + list(problems) + ", rows first", remedy: GGUFFile.convertAgain)
        }
        guard unreadable.isEmpty else {
            throw gguf.error(
                .unsupported, "\(list(unreadable)); expected \(GGUFFile.readableNames)",
                remedy: GGUFFile.quantizeAgain)
        }
        return selected
    }

    private static func list(_ problems: [String]) -> String {
        let list = problems.prefix(5).joined(separator: ", ")
        return problems.count > 5 ? list + ", and \(problems.count - 5) more" : list
    }
}
