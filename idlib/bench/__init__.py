"""What does it cost? Time and memory of intra-distillation beside what it is compared with."""
