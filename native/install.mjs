// placeholder replaced by native room
