package tazune.host

import java.io.File
import java.nio.file.Path
import java.util.concurrent.CountDownLatch
import kotlin.time.Duration.Companion.seconds
import kotlin.time.toJavaDuration
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assertions.fail
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir
import tazune.AboutDevice
import tazune.Body
import tazune.CONTRACT
import tazune.CardPort
import tazune.Delivery
import tazune.Device
import tazune.Intent
import tazune.KeyStore
import tazune.Language
import tazune.PinEntry
import tazune.Revocation
import tazune.Screen
import tazune.TazuneException
import tazune.VisitSession
import tazune.checkLibrary

/** The whole way from Kotlin: generated code, the Rust library, a card port and keys in Kotlin, the real hub. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class VisitTest {
    private val stage = Stage.open()

    @TempDir
    lateinit var folder: Path

    @AfterAll
    fun end() = stage.close()

    @Test
    fun `app and library that do not belong together are told apart, in words`() {
        checkLibrary(CONTRACT, Language.JA)
        val refused = assertThrows<TazuneException.Failed> { checkLibrary("0.0.9+feedfacefeedface", Language.EN) }
        assertEquals("TZ-B01", refused.failure.code)
        assertEquals("The parts of this app do not belong together", refused.failure.title)
        assertTrue(refused.failure.remedy.isNotBlank())
    }

    @Test
    fun `a device is paired and a visit arrives at the clinic once`() = test {
        val device = paired()
        visit(device) { session, reader ->
            stage.hold("valid", reader)
            val words = mutableListOf<Screen>()
            val record = (session.until("sealed") { words += it }.body as Body.Sealed).recordId
            assertTrue(words.any { it.word == "enter-pin" && (it.body as Body.EnterPin).triesLeft == 3.toUByte() })
            assertTrue(words.all { it.title.isNotBlank() && it.choices.none { choice -> choice.text.isBlank() } })
            device.arrives(record)
        }
    }

    @Test
    fun `a wrong PIN is told with the tries that are left`() = test {
        val device = paired()
        visit(device) { session, reader ->
            stage.hold("elder", reader)
            session.until("enter-pin")
            val entries = stage.card("elder").pinEntries
            session.type("9999")
            val again = session.until("enter-pin")
            assertEquals("TZ-C10", again.failure?.code)
            assertEquals(2.toUByte(), (again.body as Body.EnterPin).triesLeft)
            assertEquals(2, stage.card("elder").triesLeft)
            session.until("sealed")
            assertEquals(entries + 2, stage.card("elder").pinEntries, "no PIN was sent twice")
        }
    }

    @Test
    fun `a PIN is four digits and no more, and is wiped`() = test {
        val device = paired()
        visit(device) { session, reader ->
            stage.hold("valid", reader)
            session.until("enter-pin")
            PinEntry().use { entry ->
                assertFalse(entry.push(10.toUByte()))
                assertTrue(entry.push(1.toUByte()) && entry.push(2.toUByte()))
                entry.backspace()
                assertEquals(1.toUByte(), entry.len())
                assertThrows<TazuneException.Malformed> { runBlocking { session.enterPin(entry) } }
                assertEquals(0.toUByte(), entry.len())
            }
            assertEquals("enter-pin", session.screen().word)
            session.send(Intent.Cancel)
        }
    }

    @Test
    fun `a visit of an app that was killed before the PIN goes on where it was`() = test {
        paired().close()
        killed(at = "enter-pin")
        val device = device(folder.toFile())
        val draft = device.drafts().single()
        visit(device, draft.id) { session, reader ->
            stage.hold("valid", reader)
            val shown = mutableListOf<String>()
            val record = (session.until("sealed") { shown += it.word }.body as Body.Sealed).recordId
            assertFalse("consent" in shown, "the consent was kept: $shown")
            assertTrue("enter-pin" in shown, "the PIN was not: $shown")
            device.arrives(record)
        }
        assertTrue(device.drafts().isEmpty())
    }

    @Test
    fun `a record of an app that was killed after sealing is delivered by the next`() = test {
        paired().close()
        killed(at = "sealed")
        val device = device(folder.toFile())
        assertTrue(device.drafts().isEmpty())
        val record = device.queue().records.single()
        assertEquals(Delivery.Sealed, record.delivery)
        device.arrives(record.id)
    }

    @Test
    fun `cancel leaves the card de-selected and the visit as a draft`() = test {
        val device = paired()
        visit(device) { session, reader ->
            stage.hold("valid", reader)
            session.until("enter-pin")
            assertFalse(stage.card("valid").isLeft)
            val waiting = inBackground { assertNull(session.nextScreen()) }
            assertEquals("enter-pin", session.cancel().word)
            waiting.join()
            assertTrue(stage.card("valid").isLeft)
            assertThrows<TazuneException.Over> { runBlocking { session.send(Intent.Continue) } }
        }
        device.discardVisit(device.drafts().single().id)
        assertTrue(device.drafts().isEmpty())
    }

    @Test
    fun `a cancelled coroutine that closes its visit leaves the card de-selected`() = test {
        val device = paired()
        SocketCardPort().use { reader ->
            val session = device.beginVisit("dr-sample", null, Language.JA, reader)
            stage.hold("valid", reader)
            session.until("enter-pin")
            val screen = inBackground { session.use { it.nextScreen() } }
            delay(0.2.seconds)
            screen.cancel()
            screen.join()
            while (!stage.card("valid").isLeft) delay(0.02.seconds)
        }
        assertEquals(1, device.drafts().size)
    }

    @Test
    fun `waiting for a card and waiting for the clinic end when they are cancelled`() = test {
        val device = paired()
        visit(device) { session, _ ->
            session.until("hold-card-reading")
            session.cancel()
        }
        device.discardVisit(device.drafts().single().id)
        val attempt = device.pair(stage.ask("offer").single(), ABOUT)
        val waiting = inBackground { assertThrows<TazuneException.Cancelled> { runBlocking { attempt.finish() } } }
        delay(0.2.seconds)
        attempt.cancel()
        waiting.join()
        assertThrows<TazuneException.Over> { runBlocking { attempt.finish() } }
    }

    @Test
    fun `a reader that throws is a failure with a code, and the visit can be left`() = test {
        val device = paired()
        SocketCardPort().use { socket ->
            val reader = object : CardPort by socket {
                override suspend fun transmit(command: ByteArray) = throw IllegalStateException("MARKED-SECRET")
                override suspend fun release() = throw IllegalStateException("MARKED-SECRET")
            }
            device.beginVisit("dr-sample", null, Language.JA, reader).use { session ->
                stage.hold("valid", socket)
                var screen = session.until("hold-card-reading")
                while (screen.failure == null) screen = session.nextScreen()!!
                assertEquals("TZ-C14", screen.failure?.code)
                session.cancel()
            }
        }
        device.discardVisit(device.drafts().single().id)
    }

    @Test
    fun `what a key store throws besides its errors becomes a failure that repeats nothing`() = test {
        val keys = object : KeyStore by keys(folder.toFile()) {
            override fun makeKeys() = throw IllegalStateException("MARKED-SECRET")
        }
        val failed = assertFails { device(folder.toFile(), keys).pair(stage.ask("offer").single(), ABOUT) }
        assertEquals("TZ-S04", failed.failure.code)
        assertFalse("MARKED" in failed.stackTraceToString())
    }

    @Test
    fun `while a key store hangs the device goes on, and the call ends by name`() = test {
        val (entered, answering) = List(2) { CountDownLatch(1) }
        val keys = object : KeyStore by keys(folder.toFile()) {
            override fun makeKeys() {
                entered.countDown()
                answering.await()
            }
        }
        val device = device(folder.toFile(), keys)
        val offer = stage.ask("offer").single()
        val pairing = async(Dispatchers.Default) { assertFails { device.pair(offer, ABOUT) } }
        withContext(Dispatchers.IO) { entered.await() }
        assertTrue(device.queue().records.isEmpty())
        assertTrue(pairing.isActive)
        assertEquals("TZ-K05", pairing.await().failure.code)
        answering.countDown()
    }

    @Test
    fun `a revoked device says so in words, hands in its record, and keeps neither draft nor key`() = test {
        var isBroken = true
        val kept = keys(folder.toFile())
        val keys = object : KeyStore by kept {
            // Not an exception: nothing that the generated code would notice.
            override fun destroyStaffKey() = if (isBroken) throw NotImplementedError() else kept.destroyStaffKey()
        }
        val device = paired(keys)
        assertNull(device.queue().revoked)
        visit(device) { session, reader ->
            stage.hold("valid", reader)
            session.until("sealed")
        }
        val record = device.queue().records.single().id
        visit(device) { session, _ -> session.until("hold-card-reading") }
        val draft = device.drafts().single().id
        stage.ask("revoke", device.pairing().deviceId)

        assertEquals("TZ-S04", assertFails { device.deliverNow(10.seconds.toJavaDuration()) }.failure.code)
        assertEquals(Revocation.DESTROYING, device.queue().revoked?.state)
        isBroken = false
        assertEquals("TZ-H10", assertFails { device.deliverNow(10.seconds.toJavaDuration()) }.failure.code)
        val queue = device.queue()
        assertEquals(Revocation.FINISHED, queue.revoked?.state)
        assertEquals("TZ-H10", queue.revoked?.failure?.code)
        assertTrue(queue.revoked!!.text.contains("登録し直せます"), queue.revoked?.text)
        assertEquals(1u to 0u, queue.purgedCount to queue.draftCount)
        assertEquals(emptyList<String>(), File(folder.toFile(), "keys").list()?.toList())
        stage.ask("accept", record)
        stage.ask("arrived", record)
        SocketCardPort().use { reader ->
            val begun = assertFails { device.beginVisit("dr-sample", null, Language.JA, reader) }
            val resumed = assertFails { device.resumeVisit(draft, reader) }
            assertEquals(listOf("TZ-H10", "TZ-H10"), listOf(begun, resumed).map { it.failure.code })
        }
        device.close()
        assertNull(paired(keys).queue().revoked)
    }

    @Test
    fun `of two engines in one folder only one seals a visit, and the other says that it is gone`() = test {
        val (first, second) = listOf(paired(), device(folder.toFile()))
        visit(first) { left, reader ->
            stage.hold("valid", reader)
            left.until("enter-pin")
            visit(second, left.draft()) { session, otherReader ->
                stage.hold("valid", otherReader)
                session.until("sealed")
            }
            assertEquals("TZ-S04", assertFails { left.type("1234") }.failure.code)
        }
        assertEquals(listOf(1, 1), listOf(first, second).map { it.queue().records.size })
    }

    @Test
    fun `to cancel or close twice does nothing more, and what is closed is told from what hangs`() = test {
        val device = paired()
        visit(device) { session, _ ->
            session.until("hold-card-reading")
            assertEquals(session.cancel().word, session.cancel().word)
            assertNull(session.nextScreen())
            repeat(2) { session.close() }
            assertThrows<IllegalStateException> { session.screen() }
        }
        device.discardVisit(device.drafts().single().id)
        val attempt = device.pair(stage.ask("offer").single(), ABOUT)
        repeat(2) { attempt.cancel() }
        assertThrows<TazuneException.Over> { runBlocking { attempt.finish() } }
        repeat(2) { device.cancel() }
        device.deliverNow(10.seconds.toJavaDuration())
        repeat(2) { device.close() }
        assertThrows<IllegalStateException> { runBlocking { device.queue() } }
    }

    @Test
    fun `what the engine refuses has its code and its words in the language of the app`() = test {
        val device = device(folder.toFile())
        val failed = assertThrows<TazuneException.Failed> { runBlocking { device.pairing() } }
        assertEquals("TZ-P06", failed.failure.code)
        assertTrue(failed.failure.title.any { it.code > 0x3000 })
        SocketCardPort().use { reader ->
            val malformed = assertThrows<TazuneException.Malformed> {
                runBlocking { device.beginVisit("not an id", null, Language.JA, reader) }
            }
            assertEquals("staff id", malformed.what)
        }
    }

    private suspend fun paired(keys: KeyStore = keys(folder.toFile())): Device {
        val device = device(folder.toFile(), keys)
        val attempt = device.pair(stage.ask("offer").single(), ABOUT)
        CoroutineScope(Dispatchers.IO).launch { stage.ask("approve", attempt.code()) }
        val paired = attempt.finish()
        assertEquals(paired, device.pairing())
        return device
    }

    /** A visit with a reader of its own; with a draft, the one that was begun. */
    private suspend fun visit(device: Device, draft: String? = null, work: suspend (VisitSession, SocketCardPort) -> Unit) {
        SocketCardPort().use { reader ->
            val session = when (draft) {
                null -> device.beginVisit("dr-sample", null, Language.JA, reader)
                else -> device.resumeVisit(draft, reader)
            }
            session.use { work(it, reader) }
        }
        stage.ask("remove")
    }

    /** A visit in a process of its own that is killed when it shows a screen. */
    private fun killed(at: String) {
        val child = Child.start(folder.toFile(), at)
        val lines = child.inputStream.bufferedReader().lineSequence().iterator()
        stage.ask("hold", "valid", lines.next().removePrefix("reader "))
        assertEquals("shown $at", lines.next())
        child.destroyForcibly().waitFor()
        stage.ask("remove")
    }

    private suspend fun Device.arrives(record: String) {
        deliverNow(10.seconds.toJavaDuration())
        assertEquals(Delivery.Accepted, queue().records.single { it.id == record }.delivery)
        val (records, faces) = stage.ask("arrived", record)
        assertEquals(records, faces, "each record has one face file")
    }

    private companion object {
        val ABOUT = AboutDevice("見本の端末", "JVM", System.getProperty("os.name"))
        val LONGEST = 120.seconds

        suspend fun assertFails(work: suspend () -> Unit): TazuneException.Failed = try {
            work()
            fail("it did not fail")
        } catch (failed: TazuneException.Failed) {
            failed
        }

        fun test(work: suspend CoroutineScope.() -> Unit) = runBlocking { withTimeout(LONGEST, work) }

        fun CoroutineScope.inBackground(work: suspend () -> Unit) =
            launch(Dispatchers.Default) { work() }
    }
}
