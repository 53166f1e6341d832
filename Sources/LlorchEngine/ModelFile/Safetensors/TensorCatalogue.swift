// All tensors of all files of a model, and the choice of those that its configuration demands.
// SPDX-License-Identifier: Apache-2.0

/// Where a tensor is, whether or not its elements can be read.
struct CataloguedTensor: Sendable {
    let file: ModelFile
    let entry: SafetensorsHeader.Tensor

    /// Nil where its elements are not read.
    var stored: StoredTensor? {
        entry.type.format.map {
            StoredTensor(file: file, format: $0, shape: entry.shape, range: entry.range)
        }
    }
}

/// The contents of the weight files of one directory.
struct TensorCatalogue {
    /// The path that messages about all weights together name.
    let path: String
    let files: [ModelFile]
    private var tensors: [String: CataloguedTensor] = [:]

    init(_ directory: ModelDirectory) throws(ModelFileError) {
        path = directory.weights.path
        switch directory.weights {
        case .single(let path):
            files = [try ModelFile(path: path)]
            try append(file: 0, index: nil)
        case .sharded(let indexPath):
            let bytes = try ModelFile.contents(of: indexPath, limit: ShardIndex.maximumBytes)
            try ModelDirectory.checkIsNotMistaken(bytes, path: indexPath)
            let index = try ShardIndex(parsing: bytes.span, path: indexPath)
            var files: [ModelFile] = []
            for name in index.files {
                files.append(try ModelFile(path: "\(directory.path)/\(name)"))
            }
            self.files = files
            for file in files.indices { try append(file: file, index: index) }
        }
    }

    func tensor(named name: String) -> CataloguedTensor? { tensors[name] }

    private mutating func append(file: Int, index: ShardIndex?) throws(ModelFileError) {
        let path = files[file].path
        for tensor in try Self.header(of: files[file]).tensors {
            if let index, index.fileOfTensor[tensor.name] != index.files[file] {
                let told = index.fileOfTensor[tensor.name].map { "in \($0.quotedForMessage)" }
                throw ModelFileError(
                    .inconsistent, path: path,
                    problem: "has tensor \(tensor.name.quotedForMessage), which by the index is "
                        + (told ?? "in no file"),
                    remedy: "download all files of the model from one place")
            }
            let name = Self.canonicalName(tensor.name)
            let catalogued = CataloguedTensor(file: files[file], entry: tensor)
            guard tensors.updateValue(catalogued, forKey: name) == nil else {
                throw ModelFileError(
                    .inconsistent, path: path,
                    problem: "has tensor \(name.quotedForMessage) with and without the prefix "
                        + "'transformer.'")
            }
        }
    }

    private static func header(of file: ModelFile) throws(ModelFileError) -> SafetensorsHeader {
        let prefix = try file.bytes(
            at: 0, count: min(file.size, SafetensorsHeader.prefixByteCount))
        let range = try SafetensorsHeader.range(
            prefix: prefix.span, fileSize: file.size, path: file.path)
        let bytes = try file.bytes(at: range.lowerBound, count: range.count)
        return try SafetensorsHeader(
            parsing: bytes.span, fileSize: file.size, path: file.path)
    }

    private static func canonicalName(_ name: String) -> String {
        let prefix = "transformer."
        return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }

    /// The tensors that the configuration demands; others, such as masks, are left out.
    func select(
        for configuration: GPT2Configuration
    ) throws(ModelFileError) -> [String: StoredTensor] {
        var selected: [String: StoredTensor] = [:]
        var problems: [String] = []
        for required in configuration.requiredTensors {
            guard let tensor = tensors[required.name] else {
                problems.append("\(required.name) is missing, expected shape \(required.shape)")
                continue
            }
            let stored = tensor.stored
            if tensor.entry.shape != required.shape {
                problems.append(
                    "\(required.name) has shape \(tensor.entry.shape), "
                        + "expected \(required.shape)")
            } else if stored == nil {
                problems.append(
                    "\(required.name) has dtype \(tensor.entry.type.rawValue), "
                        + "expected F32, F16 or BF16")
            }
            selected[required.name] = stored
        }
        let next = "h.\(configuration.layerCount)."
        if let extra = tensors.keys.filter({ $0.hasPrefix(next) }).min() {
            problems.append(
                "\(extra.quotedForMessage) is there, but n_layer is \(configuration.layerCount)")
        }
        guard problems.isEmpty else { throw mismatch(problems) }
        return selected
    }

    private func mismatch(_ problems: [String]) -> ModelFileError {
        var list = problems.prefix(5).joined(separator: ", ")
        if problems.count > 5 { list += ", and \(problems.count - 5) more" }
        return ModelFileError(
            .inconsistent, path: path, problem: "does not fit config.json: \(list)",
            remedy: "use the config.json that came with the weights")
    }
}
