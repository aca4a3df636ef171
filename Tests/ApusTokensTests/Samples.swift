/// Keys and tokens that Python's `cryptography` 48 made, once, of keys that are used nowhere else. Valid until the year 2100 unless they say otherwise.
// swift-format-ignore: LineLength
enum Samples {
    static let rsaKey =
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAnpJGVtmK5x0h0CKoxgnH\nU1iu5spTGHeQTgvWrmzPYq3/cokIbMRo+VKIBHCl8enfIDbifg4ZJe+p1uG82RJh\nks0GLXV9lzDwXvQRJlZtQjsauTROfph6f34NGFa5ZPRJJ/TJhnvOGYB6yZpLmLbd\nMG7LCS5KLwMtAsCxv/I/AugLal95f7tNVEg8y5ycuaODh9dKdgMh6+mFeYmv1iB/\n4Y3lwfMSfXF3m2N8uFenXNXODh3FSsyP7HmuZXAheTxqdBRT96ddcqCXEhzwopCf\n7moe0FCMKbZDLxJwfrZNdfSTd3AiZMGdofe3jLDFybGGotrU19H1ZvM6gkeRwEgZ\nFwIDAQAB\n-----END PUBLIC KEY-----"
    static let shortRSAKey =
        "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDNvuGfLkxHtM0RFFZZl13T/MAC\nk8VwSPuUEkiVLEZXQDy0yY26zx/G5Aj77w61wrOpZIDMLrmV8m78EqYKEyrBbbC/\n159Liuqj5e50WQak1mR2d4Z4WBuchQ2bR4O76f7EvPHEFXOqZ+8LF1DsuhMX6i/7\nnC+JaIGbQEZNmH9gPwIDAQAB\n-----END PUBLIC KEY-----"
    static let p256Key =
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfkbRqWHnak8F4xOQjGBlbmJFG8T5\nP68pmPB0kWqOGjcjwC9AVhQxw5JU/wKvuE4H8xPZNht6bWM18IR9BYsD2g==\n-----END PUBLIC KEY-----"
    static let p384Key =
        "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEsFujiMS+VBNwOAqJu15T1QwXsyJNkPfC\nR8e7J//6hC/WJs6oIKZ+3k3zqu3AEmlVGVhdcr5FXfTH7/25A2vn+SxYWazjaRcd\nUuqTFdZDEOjPN2WdPFuAjbguxkvDQO1o\n-----END PUBLIC KEY-----"
    static let p521Key =
        "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBqf0bQGqZkQ0jwcNJuDXPfwL9k+AQ\nHBjKe0fVUrZsZWXqy9AkorP1Tbi4RCiqIr6NPiMUnngkHLOS4sp6uOuQnU4AQNyo\n1ppU+1beZxM1rS3oCIPoDalcK4tq8nGa2tp3POGyguSpO+5WNJQMhExyrECC15Ma\nYPHcpWKbQIrJd8M2TYg=\n-----END PUBLIC KEY-----"
    static let koblitzKey =
        "-----BEGIN PUBLIC KEY-----\nMFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE7BPErT7vhzbZoINuMxkovNI7CY+5qd/I\nxgJX9JUZM73tKIt87yMbLdFhmR9FDr/+6LacigAbZGQdLEm6H807rg==\n-----END PUBLIC KEY-----"
    static let edwardsKey =
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAl+GanP9ubOKlRslSmxHjbcFRRk2drsK203bEQFhpja4=\n-----END PUBLIC KEY-----"
    static let tokens: [String: String] = [
        "HS256":
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.Mw6c3HcRl47vpVEmtjyduLATQ8MtaldHwh2F2h-4Di4",
        "HS384":
            "eyJhbGciOiJIUzM4NCIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.HNdZLYQb8n3qwPCRhlDMqSuwodinGUHHlNwYKE3gGl9gmmtiKF8VSbl2VEC7CnTT",
        "HS512":
            "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.b8nkBWWoIz6WVZyeO0nYell68hpLvYAya4zi6B_Xs2XmiPwNoOAuq0gd7tQYuGIvKpkW_y51bt_Vo_n9W0bZqQ",
        "RS256":
            "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.Eyr3Ym8ZDJvVSWEN40kzivXy3_PgaD5Pwhv-Nm1E_gwyZUsPYft9KMRObzyrU0XtQxT_caT4FDf1Tt8-Ew-b6Ksn78g2tzxU6WJ-c9TMajQQANSf0JREywUwz02zKEoFfuS6Np1_faSAUjAhbdKf7fB8zntDY-GwU93RMsT8-GAig98X_IZ161cN2H8V_8zPSYbYaPp5L-pZUw8-TQVQU8Jr_bVzWC-AkqocwrpnIg9frqTGAsa_VW3sLZIvCLwg-5wl_KeKJYzwDN4v9iikusILsEp6m1YzppneRC5dN5Aqh9bBeEGFJqOX8urJrKltChvT43_Yt_IVTaTYkGuXlw",
        "RS384":
            "eyJhbGciOiJSUzM4NCIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.h4URmLHPhQslkJPmMZuN9zDk-qfv4GAbkatkxw-krs2V5Ac8jL3l4iCVSFXr4sWNjeW_ebCS5BAY2APcrNbbw7u3AqZcZsg6a9JbUG0lcsFHx81WwLpt58ZzDth7mzy5ERk1qPhckrgOgx8RidEtt0HsDyeRP-IokpTgft4wwX8RIZeuhaMIEvhzQZupUZNjOAQLNeRUA-2OiQPeUr_iFlL1tQtANmdNgr-5kYhyUDItWOfAfsZrBiX2sB8Nar9gKDe9_3MKwm8XWbb6Bjn3x570PM0JylEyOHZpwUBefhLZSN73vlBMEGTy7r6_qMmLMH3DLpvU5j4Hmj7-V36H3w",
        "RS512":
            "eyJhbGciOiJSUzUxMiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.dFv3NW4fIOBBdmtk2yNXXf4BNW02JQuAUkg-tSoBWqmpconWwVRqZ0GShOdJ8tkbIt4c4vB2R6KbjdDoyUjKNxLqTSIQ1cnn2FU0gxzN3nzLXnoWsg9Lsv3dS8GrGHQfaetJ8RXDuHFzq6LGjIxuwJ7ezVv0z70ei2h_2GGIvsYx_Ps7JWu8E2Kt4RspT5XFpVKIpIJZtTpNcWIjA8xfRbvic4p9O6d8JxKNB94zO--2xfg3YhVt_2RW45zZKxUIzOBaP74ErmycQq5vRx5locQtGeaonSse5x3drfdV3fzh-kg51O3i-ynwTK_l3vbbBV_FyqFw0eJnpDbxDyxEAQ",
        "PS256":
            "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.mY0grF58EDMjYa8H_jkTzeO7CtLmdZ0sx7wS9kRSsXeVEhY7puQFBMDh3uEabG634D8BDtlGi_0k6KUuPtikzFSoa7Tr-ithFjqFfbGSqb3-S1EEa26FB2A0q6ve-64jg1MFYpfsAK4s1M4SZFgdclqUJaZ_u-DMv8UxwODI3ifDAj9jga1Cm7fh3vD3i6jxHSjSkeIAlFLUnbcPXDLG4jdvjnFJdokMFcPBDBk3cw56Qg5U-QfAqjPZr81NKFO6pCRq2q0hN9puokBDew_BBDKyeur4DToJh2dJpyU7aJX_9lgwlr79jsa6SyNXbVQCEU6x_0y9x7MWgRPHiX9q_w",
        "PS384":
            "eyJhbGciOiJQUzM4NCIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.dvbDV0pe5Zt8IAGKFKVngOGhWl8QUDYDCgduf2PtpIwFLlui_r6M3yZZ07ESvwHNd8vfNgV9I_clXTsNbCYpf4Y-PdloH49TNdgoNfsmYtXJ4mWNIegPnw9J_-kTHOhKM9VgQimZsOk64haCkP7mM8-kiEBUyWJdykeW0IMfNAl-lLQxFStOfl862C_5Tv15Pe2YweKy-O58NOH6VKmeqMJDXZ-oeMgnUN8nFuq592wwNBGGpXANlszIRx2zjpdp7_N_ME6nIedpGNST-ctf5z3y5d2jgjk_4dKJE4aeaGKK8zNDkcAGjyj57jPFIYF-EShS66OJkBHZeMYvnz4Bwg",
        "PS512":
            "eyJhbGciOiJQUzUxMiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.aWQNLPhSd3cmxqv9kHXU_iWpL86Q-VCCbk3w8XaCBZRM1ax92Q_rURxDZB2pw14ea_1kzFhFK1kkk8BzVWc_yf4ihpgguDI-UpU88qa9dZS8DOCdIMs8PMhbV8t3CoKmX-n8O6zOXYvn0ygdFi7DFLq1ro86h5NORXaMFU_dFiWKWdjFN9BIhW13JsRE3qmUua5HVFAcmJfa5REW0-EwoTNlvRj46GQAEbJCNmfF0spEWeTpnZziqKUirB4ypnfH6kHHTY8pAvHDEOOpaEEsI2lSVLEu9U6YtknMqClhdVjIbHTPK3XsLVnR_gPh0wwc6cyFJ62Gef6CZhqcn8vtVw",
        "ES256":
            "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.5qKagBAXapXLHmWxJaebNLTpZFF6Yruci55Cq4_kZYlYWlT-gzqHS0QebcPjKtZkeUhok_0EkwrnLCj3Q_EltQ",
        "ES384":
            "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.Loli7dKvYQEH2KgUiloJIPAXkeC5wUbVz6Ffw6TGvRY9-M-jMk8f_7K8-4aQ-krPLzf3KdZokzWcf_OtsDU5HIAhKYEl4jE5QT_NWgSBaf6U2SHjHOFzcVH7rVG6SFgA",
        "ES512":
            "eyJhbGciOiJFUzUxMiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.AaTA-K47rAd3SQL5dXIrJIVQadY-upFHeWW_QBWwEexrf7IqXxoFUm3RLm94zgqKVBp7uOo8HGF45w9uAwv91wwMABVGIX6onZiHH1NC3IlW3f5PZQlvCCnZBICJVxBLo9aS2Su_LnHTgHEKCeiNV-sN_nET2Nd_KsBAkEZ9VlrWUKtm",
        "EdDSA":
            "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.Cy7_O3ajGUxeaAney1IW-12Xzsv-jj6ApBQ3_oFl3Wla6Y2w76kDHzCBI_Yp3bHw8lDrlCQSLmDeD8Bc_SBTAw",
    ]
    /// Signed with the text of the public RSA key as if it were a secret, in the forms in which servers have fallen for it.
    static let confused = [
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.eHSKGwN-oKV4hlCLLICcA9jtgO0v0at3QSgsuBQthS4",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.u-mw7QlCaOIWSvFbd5PE-v1jJj14yNcfrHK3Xzta4j0",
    ]
    static let unsigned =
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9."
    static let critical =
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImNyaXQiOlsieCJdLCJ4IjoxfQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.ZWCy1uYYZyJBOcc_gmMsSnqUbgfqYVfweBK02lD3MqWvwWYHIWyHN0ZG6QWuU3wkgyW2mFBvl08fYZYl__B8CQ"
    static let koblitzToken =
        "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.Zft0q84vAJSf6sbmajYhc8mq3HiXgLWKASVjLBxqo2BAesPgRcJoG64u0C2ahyds9A0CGeuyImr7ubHc5qVGWw"
    static let endless =
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwieC1odWdyLXJvbGUiOiJ2aWV3ZXIifQ.VCKC2_-Y6EYyrw8zzAQSjACEa1HU2_Q07ufnaZVNTuPITXCg89S6KmnDYKt5pvu4aQnoU4tgn97XsoFPTCp-Cw"
    static let expired =
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjoxNzAwMDAwMDAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.UrSuUO38Ip74Th6Q9m9-DGusHI0luALW4-fd3R-nxWn1Cu6RziAWoATqdcq1gVWJMhxKkFko2_5rxBI3fxCWDw"
    static let early =
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhcHVzIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciIsIm5iZiI6NDAwMDAwMDAwMH0.J-E9MzdsKYMQeoxcVaF-WhSpct_gzd1lMH2Q9f5zcOgNhVl1p7uUZtaJo_JRBVbYs8dUpeDUBp6zYNsDFDRhBw"
    static let forOthers =
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOlsieCIsInkiXSwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciJ9.ROOiVziEg7zn9bbDRews9XtwUMNIrZd8JQZuU58exmK8pxHYZeG7HY8b47kp3Tw4H_7WiVCJHGG_WxeHIDiYBw"
    static let authorized =
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwic3ViIjoidTEiLCJhdWQiOiJhY2NvdW50IiwiZXhwIjo0MTAyNDQ0ODAwLCJ4LWh1Z3Itcm9sZSI6InZpZXdlciIsImF6cCI6ImFwdXMifQ.K8ro1dmjj2JcXVzVTXeMfKFgYpKyctGqnssfdazESKqwhzD-xOUb4ROlTXezDSWTIIueJeafTudDvetzkZ07Aw"
    static let ofOthers =
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL290aGVyLmV4YW1wbGUiLCJzdWIiOiJ1MSIsImF1ZCI6ImFwdXMiLCJleHAiOjQxMDI0NDQ4MDAsIngtaHVnci1yb2xlIjoidmlld2VyIn0.TZ28gbAVxvN8yRSR-dU2vTTghjYyotw_HzQzY1a6-Vk0lCcp5Eu36R0scwv4Don_ve4fZEgvkQG4EfF4-llrCA"
    static let webKeys: [String: String] = [
        "RS256":
            #"{"kty":"RSA","use":"sig","n":"npJGVtmK5x0h0CKoxgnHU1iu5spTGHeQTgvWrmzPYq3_cokIbMRo-VKIBHCl8enfIDbifg4ZJe-p1uG82RJhks0GLXV9lzDwXvQRJlZtQjsauTROfph6f34NGFa5ZPRJJ_TJhnvOGYB6yZpLmLbdMG7LCS5KLwMtAsCxv_I_AugLal95f7tNVEg8y5ycuaODh9dKdgMh6-mFeYmv1iB_4Y3lwfMSfXF3m2N8uFenXNXODh3FSsyP7HmuZXAheTxqdBRT96ddcqCXEhzwopCf7moe0FCMKbZDLxJwfrZNdfSTd3AiZMGdofe3jLDFybGGotrU19H1ZvM6gkeRwEgZFw","e":"AQAB"}"#,
        "ES256":
            #"{"kty":"EC","crv":"P-256","x":"fkbRqWHnak8F4xOQjGBlbmJFG8T5P68pmPB0kWqOGjc","y":"I8AvQFYUMcOSVP8Cr7hOB_MT2TYbem1jNfCEfQWLA9o"}"#,
        "EdDSA": #"{"kty":"OKP","crv":"Ed25519","x":"l-GanP9ubOKlRslSmxHjbcFRRk2drsK203bEQFhpja4"}"#,
    ]
    static let sshKeys: [String: String] = [
        "RS256":
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCekkZW2YrnHSHQIqjGCcdTWK7mylMYd5BOC9aubM9irf9yiQhsxGj5UogEcKXx6d8gNuJ+Dhkl76nW4bzZEmGSzQYtdX2XMPBe9BEmVm1COxq5NE5+mHp/fg0YVrlk9Ekn9MmGe84ZgHrJmkuYtt0wbssJLkovAy0CwLG/8j8C6AtqX3l/u01USDzLnJy5o4OH10p2AyHr6YV5ia/WIH/hjeXB8xJ9cXebY3y4V6dc1c4OHcVKzI/sea5lcCF5PGp0FFP3p11yoJcSHPCikJ/uah7QUIwptkMvEnB+tk119JN3cCJkwZ2h97eMsMXJsYai2tTX0fVm8zqCR5HASBkX test@example",
        "ES256":
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBH5G0alh52pPBeMTkIxgZW5iRRvE+T+vKZjwdJFqjho3I8AvQFYUMcOSVP8Cr7hOB/MT2TYbem1jNfCEfQWLA9o= test@example",
        "ES384":
            "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBLBbo4jEvlQTcDgKibteU9UMF7MiTZD3wkfHuyf/+oQv1ibOqCCmft5N86rtwBJpVRlYXXK+RV30x+/9uQNr5/ksWFms42kXHVLqkxXWQxDozzdlnTxbgI24LsZLw0DtaA== test@example",
        "EdDSA": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfhmpz/bmzipUbJUpsR423BUUZNna7CttN2xEBYaY2u test@example",
    ]
}
