LIBRARIES := libcurl
