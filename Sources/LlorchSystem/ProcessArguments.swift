// The arguments of the process, as the C library handed them over. Their meaning: LlorchCommandLine.
// SPDX-License-Identifier: Apache-2.0

import CLlorchSystem

package enum ProcessArguments {
    /// Nothing was handed over, not even the program's name.
    package struct Missing: Error, Sendable, Hashable, CustomStringConvertible {
        package var description: String {
            "this process cannot see its arguments, so that it does not know what it may do; "
                + "start it with at least its own name as argument"
        }
    }

    /// The arguments without the program's name; bytes that are not UTF-8 as `PathText` spells them.
    ///
    /// `CommandLine.arguments` is empty where /proc is not there or a preloaded library moved the environment.
    package static func current() throws(Missing) -> [String] {
        let count = Int(llorch_argument_count())
        guard count > 0 else { throw Missing() }
        return (1..<count).compactMap { index in
            unsafe llorch_argument(Int32(index)).map { unsafe PathText.text(cString: $0) }
        }
    }
}
