// What `llorch-worker keys` does: makes the key pair of a process of the queue, or shows the public key of one.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import LlorchSystem

/// The name of a key pair's two files, without their suffixes.
package struct KeyPairName: Sendable, Hashable {
    let path: String

    /// - Throws: for a text that names no file, or a file with one of the suffixes.
    package init(_ text: String) throws(CommandFailure) {
        guard !text.isEmpty, !text.hasSuffix("/") else {
            throw CommandFailure("NAME must name a file, for example keys/w1")
        }
        for suffix in [CurveKeyFile.publicSuffix, CurveKeyFile.secretSuffix]
        where text.hasSuffix(suffix) {
            throw CommandFailure("NAME \(text): leave out \(suffix); it is added")
        }
        path = text
    }
}

package enum KeysCall {
    /// Makes the two files of a pair, replacing none, and prints the public key.
    package static func make(_ name: KeyPairName) throws {
        guard let pair = CurveKeyPair.generate() else {
            throw CommandFailure(
                "this libzmq was built without CURVE; install one with libsodium, as Debian's is")
        }
        // A secret file without its public one would stand in the way of the next attempt.
        try Termination.postponed { () throws(CurveKeyError) in
            try CurveKeyFile.write(pair, to: name.path)
        }
        try Output.write("\(pair.publicKey)\n")
        Output.standardError(
            "wrote \(name.path)\(CurveKeyFile.secretSuffix) (keep it here) and "
                + "\(name.path)\(CurveKeyFile.publicSuffix) (give it to peers)\n")
    }

    /// Prints the public key of a pair that was made before.
    package static func show(_ name: KeyPairName) throws {
        let key = try CurveKeyFile.publicKey(at: name.path + CurveKeyFile.publicSuffix)
        try Output.write("\(key)\n")
    }
}
