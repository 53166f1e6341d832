// The directory in which a worker keeps two small files from one process to the next: BootNumber.swift and
// RunningNote.swift. A directory that cannot be used stops the start: crashes would not be attributed to a job.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

/// Why a state directory cannot be used.
package struct StateDirectoryError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

package enum StateDirectory {
    /// Makes the directory, for its owner only, where its parent exists and it does not.
    ///
    /// A full disk is no obstacle: the worker then starts with a warning, because its jobs need no disk.
    package static func prepare(_ path: String) throws(StateDirectoryError) {
        do throws(SystemError) {
            try Directory.makeForOwner(path)
        } catch {
            throw StateDirectoryError(
                description: "--state-directory \(path) cannot be made: \(error.reason)"
                    + (error.isMissing ? "; its parent directory must exist" : ""))
        }
        do throws(SystemError) {
            try Directory.checkWritable(path)
        } catch {
            throw StateDirectoryError(
                description: "--state-directory \(path) cannot be used: \(error.reason)")
        }
    }
}
