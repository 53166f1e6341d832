// All tensors of all files of a model, and the choice of those that its configuration demands.
// SPDX-License-Identifier: Apache-2.0

/// Where a tensor is, whether or not its elements can be read.
struct CataloguedTensor: Sendable {
    let file: ModelFile
    let entry: SafetensorsHeader.Tensor

    /// Nil where its elements are not read.
    var stored: StoredTensor? {
        entry.type.format.map {
            StoredTensor(
                file: file, name: entry.name, format: $0, shape: entry.shape, range: entry.range)
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
        let header = try Self.header(of: files[file])
        for tensor in header.tensors {
            if let index, index.fileOfTensor[tensor.name] != index.files[file] {
                let told = index.fileOfTensor[tensor.name].map { "in \($0.quotedForMessage)" }
                throw ModelFileError(
                    .inconsistent, path: path,
                    problem: "has tensor \(tensor.name.quotedForMessage), which by the index is "
                        + (told ?? "in no file"),
                    remedy: "download all files of the model from one place")
            }
            try Self.checkIsNoAdapter(tensor.name, path: path)
            let name = Self.canonicalName(tensor.name)
            let catalogued = CataloguedTensor(file: files[file], entry: tensor)
            guard tensors.updateValue(catalogued, forKey: name) == nil else {
                throw ModelFileError(
                    .inconsistent, path: path,
                    problem: "has tensor \(name.quotedForMessage) twice, under names with "
                        + "different prefixes")
            }
        }
        for (name, kept) in header.aliases.sorted(by: { $0.key < $1.key })
        where tensors[Self.canonicalName(name)] == nil {
            tensors[Self.canonicalName(name)] = tensors[Self.canonicalName(kept)]
        }
    }

    /// Takes the head for the token table where the file has that name only, for a model that ties them.
    mutating func useHeadAsTable() {
        guard tensors["wte.weight"] == nil else { return }
        tensors["wte.weight"] = tensors.removeValue(forKey: "lm_head.weight")
    }

    /// What PEFT leaves in a file: weights that count only together with others.
    private static func checkIsNoAdapter(_ name: String, path: String) throws(ModelFileError) {
        let parts = name.split(separator: ".")
        guard
            parts.contains(where: {
                $0.hasPrefix("lora_") || $0 == "base_layer" || $0 == "modules_to_save"
                    || $0.hasPrefix("prompt_encoder")
            })
        else { return }
        throw ModelFileError(
            .unsupported, path: path,
            problem: "tensor \(name.quotedForMessage) is a part of an adapter, which is not "
                + "supported",
            remedy: "merge it into its model with PEFT's merge_and_unload() and save that")
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

    /// Without the prefixes of GPT2LMHeadModel and of what models are often wrapped in for training: PyTorch's
    /// DistributedDataParallel and compile, and modules that hold the model.
    private static func canonicalName(_ name: String) -> String {
        var rest = Substring(name)
        while let prefix = prefixes.first(where: { rest.hasPrefix($0) }) {
            rest.removeFirst(prefix.count)
        }
        return String(rest)
    }

    private static let prefixes = ["transformer.", "module.", "model.", "_orig_mod."]

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
