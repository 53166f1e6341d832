// Owns libzmq's I/O thread. Sockets keep their context alive, so the thread ends after the last socket.
// SPDX-License-Identifier: Apache-2.0

import CZMQ

/// A libzmq context with one I/O thread, ended when the last socket and the last owner let go.
@safe package final class ZMQContext: Sendable {
    /// libzmq guards a context itself: unlike a socket, it may be used from any thread.
    nonisolated(unsafe) let pointer: UnsafeMutableRawPointer

    package init() throws(ZMQError) {
        guard let pointer = unsafe zmq_ctx_new() else { throw ZMQError(rawValue: zmq_errno()) }
        unsafe self.pointer = pointer
        unsafe zmq_ctx_set(pointer, ZMQ_IO_THREADS, 1)
        // Sockets begin with linger 0, so that ending the context never waits for a dead peer.
        unsafe zmq_ctx_set(pointer, ZMQ_BLOCKY, 0)
    }

    /// Makes every blocked and later call on this context's sockets fail with `contextTerminated`.
    package func shutdown() {
        unsafe zmq_ctx_shutdown(pointer)
    }

    deinit {
        // Waits at most for the longest linger of a closed socket.
        while unsafe zmq_ctx_term(pointer) != 0, zmq_errno() == ZMQError.interrupted.rawValue {}
    }
}
