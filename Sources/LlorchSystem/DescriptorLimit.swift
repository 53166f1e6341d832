// Raises the limit of open descriptors: each half-open connection holds one until its handshake times out.
// SPDX-License-Identifier: Apache-2.0

import Glibc

package enum DescriptorLimit {
    /// Enough for a thousand new half-open connections a second and everything else.
    private static let wanted: rlim_t = 8_192

    /// Raises the soft limit as far as is useful and permitted.
    ///
    /// No descriptor is too high for libzmq, which waits with epoll and not with select.
    package static func raise() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0,
            limit.rlim_cur < wanted
        else { return }
        limit.rlim_cur = min(wanted, limit.rlim_max)
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// How many descriptors this process may have now.
    package static var current: Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return Int(wanted)
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Processors of the machine; a server has an event loop, and so some descriptors, for each.
    package static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
