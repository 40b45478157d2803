import Foundation
import Glibc
import Tazune

/// A reader on the loopback interface for virtual cards that speak vpcd's framing: two bytes of length, big-endian, and that many bytes.
/// One byte is a control: 00 power off, 01 power on, 04 asks for the answer to reset.
public actor SocketCardPort: CardPort {
    public nonisolated let address: String
    private nonisolated let listener: Int32
    private let patience: Duration
    /// -1 without a card.
    private var card: Int32 = -1

    public init(patience: Duration = .seconds(20)) throws {
        self.patience = patience
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var own = loopback(port: 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isOpen = withUnsafeMutablePointer(to: &own) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 50) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        guard isOpen else { throw Broken(what: "no slot can be opened") }
        address = "127.0.0.1:\(UInt16(bigEndian: own.sin_port))"
    }

    deinit {
        close(listener)
        if card >= 0 { close(card) }
    }

    public func connect() async throws {
        let until = ContinuousClock.now + patience
        while true {
            // The library may have given up waiting.
            if Task.isCancelled || ContinuousClock.now > until { throw CardError.Absent }
            if card < 0 { card = accept(listener, nil, nil) }
            if card < 0 {
                try? await Task.sleep(for: .milliseconds(10))
                continue
            }
            var within = timeval(tv_sec: 5, tv_usec: 0)
            setsockopt(card, SOL_SOCKET, SO_RCVTIMEO, &within, socklen_t(MemoryLayout<timeval>.size))
            if (try? powered()) == true { return }
            drop()
        }
    }

    public func transmit(command: Data) async throws -> Data {
        guard card >= 0 else { throw CardError.Lost }
        do {
            return try Data(exchange([UInt8](command)))
        } catch {
            drop()
            throw CardError.Lost
        }
    }

    public func release() async {
        // A card that is gone has no power to take.
        if card >= 0 { try? send([0]) }
    }

    private func powered() throws -> Bool {
        try send([0])
        try send([1])
        return try !exchange([4]).isEmpty
    }

    private func exchange(_ payload: [UInt8]) throws -> [UInt8] {
        try send(payload)
        let length = try receive(2)
        return try receive(Int(length[0]) << 8 | Int(length[1]))
    }

    private func send(_ payload: [UInt8]) throws {
        var frame = [UInt8(payload.count >> 8), UInt8(payload.count & 0xff)] + payload
        // It may hold the PIN. The array it came in is a copy of its own, which Swift gives no way to reach.
        defer { for at in frame.indices { frame[at] = 0 } }
        let sent = Glibc.send(card, frame, frame.count, Int32(MSG_NOSIGNAL))
        guard sent == frame.count else { throw CardError.Lost }
    }

    private func receive(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard count == 0 || recv(card, &bytes, count, Int32(MSG_WAITALL)) == count else { throw CardError.Lost }
        return bytes
    }

    private func drop() {
        close(card)
        card = -1
    }
}
