LIBRARIES := libcrypto
