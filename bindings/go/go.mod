module marlinmoe

go 1.19
