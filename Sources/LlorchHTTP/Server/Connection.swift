// One connection as RFC 9112 has it: one request after another, each answered in its version of HTTP, and an
// end at which no client is held and none loses its answer. HummingbirdCore hears complete and valid heads only.
// The rules for heads: RequestHeadRules.swift; closing: Connection+Closing.swift; limits: ConnectionLimits.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOHTTP1

/// The client sent no whole request in time, or bytes that are none, while a route read its body.
struct RequestAborted: Error {}

/// Stands between NIO's parser and everything that knows what a request means.
final class Connection: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// The whole answer to a request that no route sees, with the request's target if it is known.
    typealias Answer = @Sendable (Refusal, String?) -> (HTTPResponseHead, ByteBuffer)

    /// One request and its answer.
    struct Exchange {
        let isHead: Bool
        let target: String
        let minorVersion: Int
        var wantsClose: Bool
        var awaitsContinue: Bool
        var isRequestComplete = false
        var isAnswerBegun = false
        var hasBody = true
        /// Whether the answer's length is known beforehand, as of all answers but streams.
        var hasLength = false
    }

    enum Phase {
        /// Between two requests.
        case idle
        case exchange(Exchange)
        /// The last answer was given.
        case lingering(Linger)
    }

    let limits: ConnectionLimits
    let answer: Answer
    var phase = Phase.idle
    var context: ChannelHandlerContext?
    var timer: Scheduled<Void>?
    var stallTimer: Scheduled<Void>?
    var isInputClosed = false
    var isShuttingDown = false
    /// The head that is being received; nil between the end of a head and the next request.
    private var head: InputGate.Head?
    /// Parts of the next requests, which wait for the end of this one's answer.
    private var parked = CircularBuffer<HTTPServerRequestPart>()
    private var parkedBytes = 0
    private var parkedError: (any Error)?
    private var isReadHeld = false
    private var isInputClosedHeld = false

    init(limits: ConnectionLimits, answer: @escaping Answer) {
        self.limits = limits
        self.answer = answer
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        stallTimer?.cancel()
        self.context = nil
    }

    // MARK: - What the gate tells

    var isLingering: Bool { if case .lingering = phase { true } else { false } }

    /// Whether the parser is to have these bytes.
    func receives(_ buffer: ByteBuffer) -> Bool {
        switch phase {
        case .lingering:
            discard(buffer.readableBytes)
            return false
        case .exchange: return true
        case .idle:
            var head = head ?? InputGate.Head()
            let isNew = head.bytes == 0
            head.append(buffer)
            self.head = head
            if isNew, head.bytes > 0 { expire(in: limits.headTime) }
            return true
        }
    }

    /// The parser has had the bytes.
    func received() {
        guard case .idle = phase, let head, head.bytes > limits.headBytes, let context else {
            return
        }
        refuse(headOverflow(head), context)
    }

    // MARK: - Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if case .lingering = phase { return }
        if isAnswerPending {
            park(part)
        } else {
            take(part, context)
        }
    }

    /// Whether a request is complete and its answer is not, so that what comes belongs to the next one.
    private var isAnswerPending: Bool {
        if case .exchange(let exchange) = phase { exchange.isRequestComplete } else { false }
    }

    /// Whether no further request can come.
    private var isAtEnd: Bool { isInputClosed && parked.isEmpty && parkedError == nil }

    private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch (part, phase) {
        case (.head(let head), .idle): begin(head, context)
        case (.body, .exchange(var exchange)):
            exchange.awaitsContinue = false
            phase = .exchange(exchange)
            context.fireChannelRead(wrapInboundOut(part))
        case (.end, .exchange(var exchange)):
            exchange.isRequestComplete = true
            exchange.awaitsContinue = false
            phase = .exchange(exchange)
            timer?.cancel()
            context.fireChannelRead(wrapInboundOut(part))
        default: break
        }
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.head = nil
        timer?.cancel()
        do throws(Refusal) {
            let head = try RequestHeadRules.checked(head)
            phase = .exchange(
                Exchange(
                    isHead: head.method == .HEAD, target: head.uri,
                    minorVersion: head.version.minor,
                    wantsClose: RequestHeadRules.wantsClose(head),
                    awaitsContinue: RequestHeadRules.awaitsContinue(head)))
            expire(in: limits.bodyTime)
            context.fireChannelRead(wrapInboundOut(.head(head)))
        } catch {
            refuse(error, isHead: head.method == .HEAD, target: head.uri, context)
        }
    }

    private func park(_ part: HTTPServerRequestPart) {
        if case .body(let buffer) = part { parkedBytes += buffer.readableBytes }
        parkedBytes += 16
        guard parkedBytes <= limits.parkedBytes else {
            // This much is not kept for anyone: the answer is this connection's last.
            if case .exchange(var exchange) = phase {
                exchange.wantsClose = true
                phase = .exchange(exchange)
            }
            return
        }
        parked.append(part)
    }

    /// The answer is complete, and the connection goes on.
    private func next(_ context: ChannelHandlerContext) {
        phase = .idle
        if !parked.isEmpty {
            while !isAnswerPending, !isLingering, !parked.isEmpty {
                take(parked.removeFirst(), context)
            }
            context.fireChannelReadComplete()
        }
        if isAnswerPending || isLingering { return }
        parkedBytes = 0
        if let error = parkedError {
            parkedError = nil
            errorCaught(context: context, error: error)
        }
        if isInputClosedHeld {
            isInputClosedHeld = false
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        if isReadHeld {
            isReadHeld = false
            context.read()
        }
    }

    func read(context: ChannelHandlerContext) {
        // More is not read while there are requests for which nobody has had time.
        guard parked.isEmpty || isLingering else {
            isReadHeld = true
            return
        }
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            isShuttingDown = true
            hasten()
        case ChannelEvent.inputClosed:
            isInputClosed = true
            if isLingering { hasten() }
            // Requests that are complete are still answered.
            guard parked.isEmpty else {
                isInputClosedHeld = true
                return
            }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError || error is ByteToMessageDecoderError else {
            context.fireErrorCaught(error)
            return
        }
        switch phase {
        case .lingering: break
        case .idle: refuse(refusal(for: error), context)
        case .exchange(let exchange) where exchange.isRequestComplete:
            parkedError = parkedError ?? error
        case .exchange(let exchange):
            if exchange.isAnswerBegun { return }
            refuse(refusal(for: error), isHead: exchange.isHead, target: exchange.target, context)
            context.fireErrorCaught(RequestAborted())
        }
    }

    private func refusal(for error: any Error) -> Refusal {
        let head = head ?? InputGate.Head()
        switch error as? HTTPParserError {
        case .headerOverflow: return headOverflow(head)
        case .invalidMethod where head.beginsWithMethod:
            return Refusal(
                .notImplemented, field: "method", constraint: "known_method",
                "the method is unknown; methods are written in capital letters")
        case .invalidVersion where head.endsWithVersion, .paused:
            return Refusal(
                .httpVersionNotSupported, field: "version", constraint: "HTTP/1.1",
                "this server speaks HTTP/1.1 and HTTP/1.0")
        default:
            return Refusal(
                .badRequest, field: "request", constraint: "valid_http",
                "the request is not HTTP/1.1: \(error)")
        }
    }

    private func headOverflow(_ head: InputGate.Head) -> Refusal {
        if head.lineBytes <= limits.fieldBytes {
            return Refusal(
                .requestHeaderFieldsTooLarge, field: "headers",
                constraint: "max_bytes(\(limits.headBytes))",
                "a request may have \(limits.headBytes) bytes of headers, \(limits.fieldBytes) in "
                    + "one header, and \(limits.fields) headers")
        }
        return Refusal(
            .uriTooLong, field: "target", constraint: "max_bytes(\(limits.fieldBytes))",
            "a request's target may have at most \(limits.fieldBytes) bytes")
    }

    // MARK: - Time

    /// Begins the time in which the head or the body must be complete.
    private func expire(in time: Duration) {
        timer?.cancel()
        guard let loop = context?.eventLoop else { return }
        timer = loop.assumeIsolated().scheduleTask(in: TimeAmount(time)) { [weak self] in
            self?.expired(after: time)
        }
    }

    private func expired(after time: Duration) {
        guard let context else { return }
        let seconds = max(1, time.components.seconds)
        let refusal = Refusal(
            .requestTimeout, field: "request", constraint: "max_seconds(\(seconds))",
            "the request was not complete after \(seconds) s")
        switch phase {
        case .idle: refuse(refusal, context)
        case .exchange(let exchange) where !exchange.isRequestComplete && !exchange.isAnswerBegun:
            refuse(refusal, isHead: exchange.isHead, target: exchange.target, context)
            context.fireErrorCaught(RequestAborted())
        case .exchange, .lingering: break
        }
    }

    // MARK: - Answers

    /// Tells a client that waits for it to send the body.
    static func sendContinue(on channel: any Channel) {
        channel.eventLoop.execute {
            let connection = try? channel.pipeline.syncOperations.handler(type: Connection.self)
            connection?.sendContinue()
        }
    }

    private func sendContinue() {
        guard let context, case .exchange(var exchange) = phase, exchange.awaitsContinue,
            !exchange.isAnswerBegun
        else { return }
        exchange.awaitsContinue = false
        phase = .exchange(exchange)
        let head = HTTPResponseHead(version: .http1_1, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .exchange(var exchange) = phase else {
            // The client has had another answer.
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(let head):
            let framed = framed(head, &exchange)
            phase = .exchange(exchange)
            context.write(wrapOutboundOut(.head(framed)), promise: promise)
        case .body(let bytes):
            if exchange.isHead || !exchange.hasBody {
                promise?.succeed()
            } else {
                context.write(wrapOutboundOut(.body(bytes)), promise: promise)
            }
        case .end(let trailers):
            context.write(wrapOutboundOut(.end(trailers)), promise: promise)
            if exchange.wantsClose || isShuttingDown || isAtEnd {
                linger(context)
            } else {
                next(context)
            }
        }
    }

    /// Says how the body ends, and whether another answer can follow.
    private func framed(
        _ head: HTTPResponseHead, _ exchange: inout Exchange
    ) -> HTTPResponseHead {
        var head = head
        exchange.isAnswerBegun = true
        exchange.hasBody = head.status.mayHaveResponseBody
        exchange.hasLength = head.headers.contains(name: "content-length")
        // A body that nobody read, or for which the client still waits to be asked, ends the connection.
        if !exchange.isRequestComplete || isShuttingDown || isAtEnd {
            exchange.wantsClose = true
        }
        head.headers.remove(name: "transfer-encoding")
        if !exchange.hasBody {
            head.headers.remove(name: "content-length")
        } else if !exchange.isHead, !head.headers.contains(name: "content-length") {
            if exchange.minorVersion > 0 {
                head.headers.add(name: "transfer-encoding", value: "chunked")
            } else {
                // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
                exchange.wantsClose = true
            }
        }
        head.headers.remove(name: "connection")
        if exchange.wantsClose {
            head.headers.add(name: "connection", value: "close")
        } else if exchange.minorVersion == 0 {
            head.headers.add(name: "connection", value: "keep-alive")
        }
        return head
    }

    /// Answers in place of a route, and ends the connection.
    private func refuse(
        _ refusal: Refusal, isHead: Bool = false, target: String? = nil,
        _ context: ChannelHandlerContext
    ) {
        var (head, body) = answer(refusal, target)
        head.headers.replaceOrAdd(name: "connection", value: "close")
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !isHead { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        context.write(wrapOutboundOut(.end(nil)), promise: nil)
        linger(context)
    }
}
