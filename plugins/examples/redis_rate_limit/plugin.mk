LIBRARIES := hiredis
