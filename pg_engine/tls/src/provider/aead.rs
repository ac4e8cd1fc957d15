//! Encryption of records: AES-GCM and ChaCha20-Poly1305 as TLS 1.3 (RFC 8446, 5.2) and 1.2 (RFC 5288, RFC 7905) use them.

use alloc::boxed::Box;
use core::marker::PhantomData;

use aes_gcm::{
    Aes128Gcm, Aes256Gcm, KeyInit,
    aead::{
        AeadCore, AeadInOut,
        array::{
            Array,
            typenum::{U12, U16},
        },
    },
};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion,
    crypto::cipher::{
        AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
        MessageEncrypter, NONCE_LEN, Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
        Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError, make_tls12_aad, make_tls13_aad,
    },
};

/// Bytes of an authentication tag.
const TAG: usize = 16;
/// Bytes of the nonce that GCM records of TLS 1.2 carry.
const EXPLICIT: usize = 8;
/// Most bytes of plain text in a record.
const MOST: usize = 1 << 14;

/// A cipher that TLS may use.
pub trait Cipher:
    KeyInit + AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + Send + Sync + 'static
{
    /// Bytes of its key.
    const KEY: usize;
    /// In TLS 1.2 each record carries a part of the nonce.
    const EXPLICIT_NONCE: bool;
}

impl Cipher for Aes128Gcm {
    const KEY: usize = 16;
    const EXPLICIT_NONCE: bool = true;
}
impl Cipher for Aes256Gcm {
    const KEY: usize = 32;
    const EXPLICIT_NONCE: bool = true;
}
impl Cipher for ChaCha20Poly1305 {
    const KEY: usize = 32;
    const EXPLICIT_NONCE: bool = false;
}

/// A cipher as the suites of either version use it.
pub struct Algorithm<C>(PhantomData<fn() -> C>);

/// AES with 128 bits.
pub static AES_128_GCM: Algorithm<Aes128Gcm> = Algorithm(PhantomData);
/// AES with 256 bits.
pub static AES_256_GCM: Algorithm<Aes256Gcm> = Algorithm(PhantomData);
/// ChaCha20 with Poly1305.
pub static CHACHA20_POLY1305: Algorithm<ChaCha20Poly1305> = Algorithm(PhantomData);

/// A key of one direction; `None` is a key of the wrong length, with which every record fails.
struct Keyed<C>(Option<C>);

impl<C: Cipher> Keyed<C> {
    fn new(key: &AeadKey) -> Self {
        Self(C::new_from_slice(key.as_ref()).ok())
    }
    fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Result<[u8; TAG], Error> {
        let cipher = self.0.as_ref().ok_or(Error::EncryptError)?;
        let tag = cipher.encrypt_inout_detached(&Array(nonce), aad, text.into());
        tag.map(Into::into).map_err(|_| Error::EncryptError)
    }
    /// Decrypts what stands before the tag at the end of `text`; gives its length.
    fn open(&self, nonce: [u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Result<usize, Error> {
        let cipher = self.0.as_ref().ok_or(Error::DecryptError)?;
        let (text, tag) = text.split_last_chunk_mut::<TAG>().ok_or(Error::DecryptError)?;
        let opened = cipher.decrypt_inout_detached(&Array(nonce), aad, (&mut *text).into(), &Array(*tag));
        opened.map(|()| text.len()).map_err(|_| Error::DecryptError)
    }
}

impl<C: Cipher> Tls13AeadAlgorithm for Algorithm<C> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Records13(Keyed::<C>::new(&key), iv))
    }
    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Records13(Keyed::<C>::new(&key), iv))
    }
    fn key_len(&self) -> usize {
        C::KEY
    }
    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        // Keys stay here.
        Err(UnsupportedOperationError)
    }
}

/// One direction of TLS 1.3.
struct Records13<C>(Keyed<C>, Iv);

impl<C: Cipher> MessageEncrypter for Records13<C> {
    fn encrypt(&mut self, m: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        let total = self.encrypted_payload_len(m.payload.len());
        let mut payload = PrefixedPayload::with_capacity(total);
        payload.extend_from_chunks(&m.payload);
        payload.extend_from_slice(&m.typ.to_array());
        let tag = self.0.seal(Nonce::new(&self.1, seq).0, &make_tls13_aad(total), payload.as_mut())?;
        payload.extend_from_slice(&tag);
        // Every encrypted record of TLS 1.3 looks like application data of TLS 1.2.
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }
    fn encrypted_payload_len(&self, len: usize) -> usize {
        len + 1 + TAG
    }
}

impl<C: Cipher> MessageDecrypter for Records13<C> {
    fn decrypt<'a>(
        &mut self,
        mut m: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let aad = make_tls13_aad(m.payload.len());
        let len = self.0.open(Nonce::new(&self.1, seq).0, &aad, &mut m.payload)?;
        m.payload.truncate(len);
        m.into_tls13_unpadded_message()
    }
}

impl<C: Cipher> Tls12AeadAlgorithm for Algorithm<C> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Records12(Keyed::<C>::new(&key), base(iv, extra)))
    }
    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Records12(Keyed::<C>::new(&key), base(iv, &[])))
    }
    fn key_block_shape(&self) -> KeyBlockShape {
        let explicit_nonce_len = if C::EXPLICIT_NONCE { EXPLICIT } else { 0 };
        KeyBlockShape {
            enc_key_len: C::KEY,
            fixed_iv_len: NONCE_LEN - explicit_nonce_len,
            explicit_nonce_len,
        }
    }
    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// The fixed part of a nonce and, behind it, where the explicit part starts counting.
fn base(fixed: &[u8], explicit: &[u8]) -> Iv {
    let mut iv = [0; NONCE_LEN];
    iv.iter_mut().zip(fixed.iter().chain(explicit)).for_each(|(to, from)| *to = *from);
    Iv::new(iv)
}

/// One direction of TLS 1.2.
struct Records12<C>(Keyed<C>, Iv);

impl<C: Cipher> MessageEncrypter for Records12<C> {
    fn encrypt(&mut self, m: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(m.payload.len()));
        let nonce = Nonce::new(&self.1, seq).0;
        let carried = if C::EXPLICIT_NONCE { EXPLICIT } else { 0 };
        payload.extend_from_slice(nonce.last_chunk::<EXPLICIT>().filter(|_| carried > 0).map_or(&[], |n| n));
        payload.extend_from_chunks(&m.payload);
        let aad = make_tls12_aad(seq, m.typ, m.version, m.payload.len());
        let text = payload.as_mut().get_mut(carried..).ok_or(Error::EncryptError)?;
        let tag = self.0.seal(nonce, &aad, text)?;
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(m.typ, m.version, payload))
    }
    fn encrypted_payload_len(&self, len: usize) -> usize {
        len + TAG + if C::EXPLICIT_NONCE { EXPLICIT } else { 0 }
    }
}

impl<C: Cipher> MessageDecrypter for Records12<C> {
    fn decrypt<'a>(
        &mut self,
        mut m: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let mut nonce = Nonce::new(&self.1, seq).0;
        let mut carried = 0;
        if C::EXPLICIT_NONCE {
            let explicit = m.payload.first_chunk::<EXPLICIT>().ok_or(Error::DecryptError)?;
            let mut bytes = [0; NONCE_LEN];
            bytes
                .iter_mut()
                .zip(self.1.as_ref().iter().take(NONCE_LEN - EXPLICIT).chain(explicit))
                .for_each(|(to, from)| *to = *from);
            (nonce, carried) = (bytes, EXPLICIT);
        }
        let len = m.payload.len().checked_sub(carried + TAG).ok_or(Error::DecryptError)?;
        if len > MOST {
            return Err(Error::PeerSentOversizedRecord);
        }
        let aad = make_tls12_aad(seq, m.typ, m.version, len);
        let text = m.payload.get_mut(carried..).ok_or(Error::DecryptError)?;
        let len = self.0.open(nonce, &aad, text)?;
        // `len` bytes after the carried part were checked to be there.
        Ok(m.into_plain_message_range(carried..carried + len))
    }
}
