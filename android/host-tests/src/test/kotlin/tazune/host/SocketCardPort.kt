package tazune.host

import java.io.DataInputStream
import java.io.IOException
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.net.SocketTimeoutException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.withContext
import tazune.CardException
import tazune.CardPort

/**
 * A reader on the loopback interface for virtual cards that speak vpcd's framing: two bytes of length, big-endian, and that many bytes.
 * One byte is a control: 00 power off, 01 power on, 04 asks for the answer to reset.
 */
class SocketCardPort(private val patience: Duration = 20.seconds) : CardPort, AutoCloseable {
    private val slot = ServerSocket(0, 50, InetAddress.getLoopbackAddress()).apply { soTimeout = LOOK_EVERY_MS }
    private var card: Socket? = null

    val address: String get() = "${slot.inetAddress.hostAddress}:${slot.localPort}"

    override suspend fun connect() = withContext(Dispatchers.IO) {
        val began = TimeSource.Monotonic.markNow()
        while (true) {
            // The library may have given up waiting.
            currentCoroutineContext().ensureActive()
            if (began.elapsedNow() > patience) throw CardException.Absent()
            val held = card ?: accept() ?: continue
            card = null
            if (hasPower(held)) {
                card = held
                return@withContext
            }
            held.close()
        }
    }

    override suspend fun transmit(command: ByteArray): ByteArray = withContext(Dispatchers.IO) {
        val held = card ?: throw CardException.Lost()
        card = null
        try {
            val answer = exchange(held, command)
            card = held
            answer
        } catch (_: IOException) {
            held.close()
            throw CardException.Lost()
        } finally {
            // It may have held the PIN.
            command.fill(0)
        }
    }

    override suspend fun release() = withContext(Dispatchers.IO) {
        // A card that is gone has no power to take.
        runCatching { card?.let { send(it, POWER_OFF) } }
        Unit
    }

    override fun close() {
        card?.close()
        slot.close()
    }

    private fun accept(): Socket? = try {
        slot.accept().apply {
            tcpNoDelay = true
            soTimeout = ANSWER_WITHIN_MS
        }
    } catch (_: SocketTimeoutException) {
        null
    }

    private fun hasPower(held: Socket): Boolean = try {
        send(held, POWER_OFF)
        send(held, POWER_ON)
        exchange(held, ASK_ATR).isNotEmpty()
    } catch (_: IOException) {
        false
    }

    private fun exchange(held: Socket, payload: ByteArray): ByteArray {
        send(held, payload)
        val input = DataInputStream(held.getInputStream())
        return ByteArray(input.readUnsignedShort()).also(input::readFully)
    }

    private fun send(held: Socket, payload: ByteArray) {
        val frame = byteArrayOf((payload.size shr 8).toByte(), payload.size.toByte()) + payload
        try {
            held.getOutputStream().write(frame)
        } finally {
            frame.fill(0)
        }
    }

    private companion object {
        const val LOOK_EVERY_MS = 50
        const val ANSWER_WITHIN_MS = 5_000
        val POWER_OFF = byteArrayOf(0)
        val POWER_ON = byteArrayOf(1)
        val ASK_ATR = byteArrayOf(4)
    }
}
