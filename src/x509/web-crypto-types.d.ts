/**
 * Names of the browser's type library that the declarations of `@peculiar/x509` use. The project compiles without that
 * library, so the ones needed are tied here to Node's own.
 */
type Algorithm = import("node:crypto").webcrypto.Algorithm;
type AlgorithmIdentifier = import("node:crypto").webcrypto.AlgorithmIdentifier;
type BufferSource = import("node:crypto").webcrypto.BufferSource;
type Crypto = import("node:crypto").webcrypto.Crypto;
type CryptoKey = import("node:crypto").webcrypto.CryptoKey;
type CryptoKeyPair = import("node:crypto").webcrypto.CryptoKeyPair;
type EcKeyGenParams = import("node:crypto").webcrypto.EcKeyGenParams;
type EcKeyImportParams = import("node:crypto").webcrypto.EcKeyImportParams;
type EcdsaParams = import("node:crypto").webcrypto.EcdsaParams;
type KeyUsage = import("node:crypto").webcrypto.KeyUsage;
type RsaHashedImportParams = import("node:crypto").webcrypto.RsaHashedImportParams;
