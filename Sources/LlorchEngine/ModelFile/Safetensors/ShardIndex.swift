// model.safetensors.index.json: which tensor lies in which of several files.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// The `weight_map` of an index; every file is a plain name beside it.
package struct ShardIndex: Sendable, Hashable {
    /// Tensor name as stored → file name.
    package let fileOfTensor: [String: String]
    /// Ascending, each once.
    package let files: [String]

    package static let maximumBytes = 16 << 20
    /// The open files of one process are commonly limited to 1,024.
    package static let maximumFileCount = 256

    package init(parsing bytes: Span<UInt8>, path: String) throws(ModelFileError) {
        func malformed(_ problem: String) -> ModelFileError {
            ModelFileError(.malformed, path: path, problem: problem)
        }
        var limits = StrictJSON.Limits.file(maximumBytes: Self.maximumBytes)
        limits.maximumValues = 1 << 18
        let value: JSONValue
        do {
            value = try StrictJSON.parse(bytes, limits: limits)
        } catch {
            throw malformed("is not valid JSON: \(error)")
        }
        guard let map = value.asObject?["weight_map"]?.asObject, map.count > 0 else {
            throw malformed("must hold an object weight_map from tensor names to file names")
        }
        var fileOfTensor: [String: String] = [:]
        for (name, member) in map.members {
            guard let file = member.asString else {
                throw malformed(
                    "the file of tensor \(name.quotedForMessage) must be a string, "
                        + "found \(member.kindName)")
            }
            guard Self.isPlainName(file) else {
                throw malformed(
                    "the file of tensor \(name.quotedForMessage) must be the name of a "
                        + ".safetensors file in the same directory, found \(file.quotedForMessage)")
            }
            fileOfTensor[name] = file
        }
        let files = Set(fileOfTensor.values).sorted()
        guard files.count <= Self.maximumFileCount else {
            throw malformed("names \(files.count) files, expected at most \(Self.maximumFileCount)")
        }
        self.fileOfTensor = fileOfTensor
        self.files = files
    }

    /// Whether a name stays inside the directory and has no byte at which the system would cut it short.
    private static func isPlainName(_ name: String) -> Bool {
        name.hasSuffix(".safetensors") && !name.hasPrefix(".") && name.utf8.count <= 255
            && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
    }
}
