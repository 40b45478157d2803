package tazune.host

import java.io.File
import java.security.GeneralSecurityException
import java.security.KeyFactory
import java.security.KeyPairGenerator
import java.security.SecureRandom
import java.security.Signature
import java.security.spec.ECGenParameterSpec
import java.security.spec.PKCS8EncodedKeySpec
import javax.crypto.Cipher
import javax.crypto.spec.GCMParameterSpec
import javax.crypto.spec.SecretKeySpec
import tazune.KeyException
import tazune.KeyStore

/** The device's keys in files, so that they outlive a process that is killed; a phone keeps them in its hardware. */
class FileKeys(private val folder: File) : KeyStore {
    private val transport get() = File(folder, "transport.p8")
    private val point get() = File(folder, "transport.point")
    private val staff get() = File(folder, "staff.key")

    override fun makeKeys() {
        folder.mkdirs()
        if (!transport.exists()) makeTransport()
        if (!staff.exists()) staff.writeBytes(random(KEY_BYTES))
    }

    private fun makeTransport() {
        val pair = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }.generateKeyPair()
        // The point is the end of its SubjectPublicKeyInfo.
        point.writeBytes(pair.public.encoded.takeLast(POINT_BYTES).toByteArray())
        transport.writeBytes(pair.private.encoded)
    }

    override fun transportPublic(): ByteArray = read(point)

    override fun sign(bytes: ByteArray): ByteArray {
        val key = KeyFactory.getInstance("EC").generatePrivate(PKCS8EncodedKeySpec(read(transport)))
        return Signature.getInstance("SHA256withECDSA").run {
            initSign(key)
            update(bytes)
            sign()
        }
    }

    override fun wrapKey(key: ByteArray): ByteArray {
        val nonce = random(NONCE_BYTES)
        return nonce + cipher(Cipher.ENCRYPT_MODE, nonce).doFinal(key).also { key.fill(0) }
    }

    override fun unwrapKey(wrapped: ByteArray): ByteArray = try {
        cipher(Cipher.DECRYPT_MODE, wrapped.copyOf(NONCE_BYTES)).doFinal(wrapped, NONCE_BYTES, wrapped.size - NONCE_BYTES)
    } catch (_: GeneralSecurityException) {
        throw KeyException.Missing()
    }

    override fun destroyStaffKey() {
        staff.delete()
    }

    override fun destroyTransportKey() {
        transport.delete()
        point.delete()
    }

    private fun cipher(mode: Int, nonce: ByteArray) = Cipher.getInstance("AES/GCM/NoPadding").apply {
        init(mode, SecretKeySpec(read(staff), "AES"), GCMParameterSpec(TAG_BITS, nonce))
    }

    private fun read(file: File): ByteArray = if (file.exists()) file.readBytes() else throw KeyException.Missing()

    private fun random(count: Int) = ByteArray(count).also(SecureRandom()::nextBytes)

    private companion object {
        const val POINT_BYTES = 65
        const val KEY_BYTES = 32
        const val NONCE_BYTES = 12
        const val TAG_BITS = 128
    }
}
