// The version that both programs print. One place: nothing else names it.
// SPDX-License-Identifier: Apache-2.0

package enum Version {
    package static let current = "0.1.0"
}
