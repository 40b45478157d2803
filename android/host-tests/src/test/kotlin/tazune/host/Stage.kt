package tazune.host

import java.io.BufferedReader
import java.io.File
import java.net.Socket

/** A clinic with hub, gateway and cards, as `tazune-stage` plays it; it ends with the process that opened it. */
class Stage private constructor(private val process: Process, private val socket: Socket) : AutoCloseable {
    private val answers = socket.getInputStream().bufferedReader()

    /** Asks one thing and gives the words of the answer. */
    fun ask(vararg words: String): List<String> = synchronized(answers) {
        socket.getOutputStream().write((words.joinToString(" ") + "\n").toByteArray())
        val answer = answers.readLine() ?: error("the stage has gone while asked ${words.first()}")
        check(answer.startsWith("ok")) { "asked ${words.first()}: $answer" }
        answer.removePrefix("ok").trim().split(" ").filter(String::isNotEmpty)
    }

    fun hold(person: String, reader: SocketCardPort) {
        ask("hold", person, reader.address)
    }

    fun card(person: String): Card {
        val (tries, power, last, entries) = ask("card", person)
        return Card(tries.toInt(), isPowered = power == "on", last, entries.toInt())
    }

    override fun close() {
        socket.close()
        process.outputStream.close()
        check(process.waitFor() == 0) { "the stage ended badly" }
    }

    /** What a virtual card tells of itself; commands are in hexadecimal. */
    data class Card(val triesLeft: Int, val isPowered: Boolean, val lastCommand: String, val pinEntries: Int) {
        /** Its domain of certificates is not selected any more, and it has no power. */
        val isLeft get() = !isPowered && lastCommand == SELECT_ISSUER_DOMAIN
    }

    companion object {
        private const val SELECT_ISSUER_DOMAIN = "00a4040c07a0000001510000"

        fun open(): Stage {
            val program = File(System.getProperty("tazune.programs"), "tazune-stage").canonicalPath
            val process = ProcessBuilder(program).redirectError(ProcessBuilder.Redirect.INHERIT).start()
            val line = process.inputStream.bufferedReader().readLineOrFail()
            val (host, port) = Regex(""""stage":"([^:]+):(\d+)"""").find(line)!!.destructured
            return Stage(process, Socket(host, port.toInt()))
        }

        private fun BufferedReader.readLineOrFail() = readLine() ?: error("the stage does not open: are the programs built?")
    }
}
