// libFuzzer's entry for the headers of model files: any bytes end in tensors that lie within the file, or in
// an error. Built by scripts/fuzz together with the engine's sources, not by the package.
// SPDX-License-Identifier: Apache-2.0

/// Called with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func parse(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    if let header = try? GGUFHeader(parsing: bytes, fileSize: count, path: "m.gguf") {
        precondition(header.tensors.allSatisfy { lies($0.range, in: count) })
    }
    if let header = try? safetensors(bytes) {
        precondition(header.tensors.allSatisfy { lies($0.range, in: count) })
    }
    return 0
}

private func safetensors(_ bytes: [UInt8]) throws(ModelFileError) -> SafetensorsHeader? {
    guard bytes.count >= 8 else { return nil }
    let range = try SafetensorsHeader.range(
        prefix: bytes.span.extracting(first: 8), fileSize: bytes.count, path: "m.safetensors")
    return try SafetensorsHeader(
        parsing: bytes.span.extracting(range), fileSize: bytes.count, path: "m.safetensors")
}

private func lies(_ range: Range<Int>, in count: Int) -> Bool {
    range.lowerBound >= 0 && range.upperBound <= count
}
