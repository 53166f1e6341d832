// Values that begin with two dashes. ArgumentParser takes `--` for the end of the options and refuses `---`, also
// where the option in front takes any value that follows.
// SPDX-License-Identifier: Apache-2.0

package enum DashValues {
    /// The options whose values are texts or names of files; `--tokenizer` has several and ends at the next option.
    private static let options =
        ArgumentBytes.fileOptions.subtracting(["--tokenizer", "--state-directory"])
        .union(["--prompt", "--stop"])

    /// Spells `--stop ---` as `--stop=---`; what is behind a `--` that is no value stays as it is.
    package static func joined(_ arguments: [String]) -> [String] {
        var joined: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" { return joined + [argument] + rest }
            if options.contains(argument), let value = rest.first, value.hasPrefix("--") {
                joined.append("\(argument)=\(value)")
                rest = rest.dropFirst()
            } else {
                joined.append(argument)
            }
        }
        return joined
    }
}
